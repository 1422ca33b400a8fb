-- Seals a shard for polls, and returns the id of its last entry.
-- KEYS: log, sealed. ARGV: polls.
local stream = redis.call('XINFO', 'STREAM', KEYS[1])
-- Only what is missing: at its memory limit Redis refuses to add even what is there.
for _, poll in ipairs(ARGV) do
    if redis.call('SISMEMBER', KEYS[2], poll) == 0 then
        redis.call('SADD', KEYS[2], poll)
    end
end
for i = 1, #stream, 2 do
    if stream[i] == 'last-generated-id' then
        return stream[i + 1]
    end
end
