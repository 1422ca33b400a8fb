-- Returns the server's time and that in the id of the log's last entry, both in ms.
-- KEYS: log.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('EXISTS', KEYS[1]) == 1 then
    local stream = redis.call('XINFO', 'STREAM', KEYS[1])
    for i = 1, #stream, 2 do
        if stream[i] == 'last-generated-id' then
            return { now, tonumber(string.match(stream[i + 1], '^%d+')) }
        end
    end
end
return { now, 0 }
