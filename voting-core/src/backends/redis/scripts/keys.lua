-- Says by which keys the entries of a span are signed.
-- KEYS: log. ARGV: the first id of the span, the number of entries. Returns the id of its last entry (empty if there is none),
-- then of each key its id (-1: not signed), the number of its entries, and the id of the last of them.
local entries = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
local numbers, last, told = {}, {}, {}
for _, entry in ipairs(entries) do
    local key = -1
    for i = 1, #entry[2], 2 do
        if entry[2][i] == 'b' then
            local version, id = string.byte(entry[2][i + 1], 1, 2)
            if version == 2 and id then
                key = id
            end
        end
    end
    numbers[key] = (numbers[key] or 0) + 1
    last[key] = entry[1]
end
table.insert(told, #entries > 0 and entries[#entries][1] or '')
for key, number in pairs(numbers) do
    table.insert(told, tostring(key))
    table.insert(told, tostring(number))
    table.insert(told, last[key])
end
return told
