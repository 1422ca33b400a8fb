-- Removes consumers that have nothing in hand: that of one name, or all that were not heard of for some
-- milliseconds. In one step, since removing one that has would drop its entries for good.
-- One that only slept comes back with its next claim.
-- KEYS: log. ARGV: group, least idle time in ms, name or nothing.
local removed = 0
for _, told in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local consumer = {}
    for i = 1, #told, 2 do
        consumer[told[i]] = told[i + 1]
    end
    local meant = ARGV[3] == '' or consumer.name == ARGV[3]
    if meant and consumer.pending == 0 and consumer.idle >= tonumber(ARGV[2]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
        removed = removed + 1
    end
end
return removed
