-- How much memory the server has, and from where on entries are young, by its own clock.
-- KEYS: log. ARGV: how many ms entries are kept. Returns used and allowed bytes (0: no limit), the ms of
-- the oldest id to keep, and that of half of the log.
local info = redis.call('INFO', 'memory')
local used = tonumber(info:match('used_memory:(%d+)'))
-- Buffers for replicas and for the log on the disk do not count.
used = used - tonumber(info:match('mem_not_counted_for_evict:(%d+)') or 0)
local allowed = tonumber(info:match('maxmemory:(%d+)'))
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function ms(entries)
    return entries[1] and tonumber(entries[1][1]:match('^%d+')) or now
end
local first = ms(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1))
local last = ms(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1))
-- The half of a single millisecond is all of it.
local half = first == last and first + 1 or first + math.ceil((last - first) / 2)
return { used, allowed, math.max(now - tonumber(ARGV[1]), 0), half }
