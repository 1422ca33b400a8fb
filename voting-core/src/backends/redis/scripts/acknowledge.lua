-- Acknowledges entries, and counts the ballots of those that were not so before. Acknowledging comes
-- first: after it Redis lets a script finish also at its memory limit, and this is what makes room.
-- KEYS: log, stats. ARGV: group, then id and ballots of each entry.
local ballots = 0
for i = 2, #ARGV, 2 do
    if redis.call('XACK', KEYS[1], ARGV[1], ARGV[i]) == 1 then
        ballots = ballots + ARGV[i + 1]
    end
end
local accepted = tonumber(redis.call('HGET', KEYS[2], 'accepted') or 0)
local acknowledged = redis.call('HINCRBY', KEYS[2], 'acknowledged', ballots)
-- Entries that are read again, or were pushed by hand, must not hide those that wait.
if acknowledged > accepted then
    redis.call('HSET', KEYS[2], 'acknowledged', accepted)
end
return ballots
