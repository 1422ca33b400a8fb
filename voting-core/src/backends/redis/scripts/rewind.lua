-- Gives the workers all entries of the log again, and takes none of their ballots for acknowledged.
-- The first write is one that Redis lets through also at its memory limit, and so the next one too.
-- KEYS: log, stats. ARGV: group, id up to which the ballots have been added up, their sum.
local ballots = tonumber(ARGV[3])
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. ARGV[2], '+')) do
    local fields, number = entry[2], 1
    for i = 1, #fields, 2 do
        if fields[i] == 'n' and fields[i + 1]:match('^%d+$') and tonumber(fields[i + 1]) <= 65535 then
            number = tonumber(fields[i + 1])
        end
    end
    ballots = ballots + number
end
redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], 0)
-- What workers that are gone had in hand is handed out with the rest. Kept, it would be handed out twice, and
-- count twice as acknowledged.
for _, told in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    for i = 1, #told, 2 do
        if told[i] == 'name' then
            redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], told[i + 1])
        end
    end
end
local accepted = tonumber(redis.call('HGET', KEYS[2], 'accepted') or 0)
redis.call('HSET', KEYS[2], 'acknowledged', math.max(accepted - ballots, 0))
return ballots
