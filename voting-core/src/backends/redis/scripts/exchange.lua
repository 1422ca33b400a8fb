-- Sets a text if it still is what it was.
-- KEYS: the text. ARGV: what it was, empty if it was not there; what it becomes. Returns whether it was so.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
