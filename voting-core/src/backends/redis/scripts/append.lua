-- Appends an entry, unless it comes too late or the shard is sealed for one of its polls.
-- KEYS: log, stats, sealed. ARGV: payload, ballots, deadline in ms of this server's clock, traces
-- (may be empty), polls…
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[3]) then
    return redis.error_reply('LATE the entry came after its deadline')
end
for i = 5, #ARGV do
    if redis.call('SISMEMBER', KEYS[3], ARGV[i]) == 1 then
        return redis.error_reply('SEALED ' .. ARGV[i])
    end
end
local id
if ARGV[4] == '' then
    id = redis.call('XADD', KEYS[1], '*', 'b', ARGV[1], 'n', ARGV[2])
else
    id = redis.call('XADD', KEYS[1], '*', 'b', ARGV[1], 'n', ARGV[2], 't', ARGV[4])
end
-- Whatever happens from here on, the entry is in the log.
redis.pcall('HINCRBY', KEYS[2], 'accepted', ARGV[2])
return { id, now }
