-- Makes later entries get ids above one, and returns by how many ms Redis' clock is behind it; -1 if that
-- changed nothing. In one step: an id that was set later than it was looked at could be lower than what the
-- workers have had, and they would never see what follows.
-- KEYS: log. ARGV: ms and seq of the id.
-- An id that Redis' clock has passed needs no raising: the next one is above it anyway.
local time = redis.call('TIME')
local behind = tonumber(ARGV[1]) - (time[1] * 1000 + math.floor(time[2] / 1000))
if behind < 0 then
    return -1
end
local stream = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #stream, 2 do
    if stream[i] == 'last-generated-id' then
        local ms, seq = string.match(stream[i + 1], '^(%d+)-(%d+)$')
        ms, seq = tonumber(ms), tonumber(seq)
        local wanted_ms, wanted_seq = tonumber(ARGV[1]), tonumber(ARGV[2])
        if ms > wanted_ms or (ms == wanted_ms and seq >= wanted_seq) then
            return -1
        end
    end
end
redis.call('XSETID', KEYS[1], ARGV[1] .. '-' .. ARGV[2])
return behind
