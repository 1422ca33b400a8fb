-- Which of these polls the shard takes no more ballots in.
-- KEYS: sealed. ARGV: polls.
local found = {}
for _, poll in ipairs(ARGV) do
    if redis.call('SISMEMBER', KEYS[1], poll) == 1 then
        found[#found + 1] = poll
    end
end
return found
