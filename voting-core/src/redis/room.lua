-- How much memory the server has, and how old the log is.
-- KEYS: log. Returns used and allowed bytes (0: no limit), the age of the oldest entry in ms.
local info = redis.call('INFO', 'memory')
local used = tonumber(info:match('used_memory:(%d+)'))
-- Buffers for replicas and for the log on the disk do not count.
used = used - tonumber(info:match('mem_not_counted_for_evict:(%d+)') or 0)
local allowed = tonumber(info:match('maxmemory:(%d+)'))
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local age = first and now - tonumber(first[1]:match('^%d+')) or 0
return { used, allowed, math.max(age, 0) }
