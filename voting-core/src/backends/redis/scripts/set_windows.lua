-- Gives a shard windows for polls, as far as it takes them, and returns the shard's clock in ms and what it has then
-- for each of these polls.
-- KEYS: log, windows. ARGV: the margin in ms, then of each window: poll, rules, times, ms of opening and of closing
-- (`-`: no limit).
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('EXISTS', KEYS[1]) == 1 then
    local stream = redis.call('XINFO', 'STREAM', KEYS[1])
    for i = 1, #stream, 2 do
        if stream[i] == 'last-generated-id' then
            clock = math.max(clock, tonumber(string.match(stream[i + 1], '^%d+')))
        end
    end
end
local early = clock + tonumber(ARGV[1])

local function read(window)
    local rules, times, opens, closes = string.match(window, '^(%d+) (%d+) ([%d-]+) ([%d-]+)$')
    if rules then
        return {
            rules = tonumber(rules),
            times = tonumber(times),
            opens = tonumber(opens) or 0,
            closes = tonumber(closes) or math.huge,
        }
    end
end

-- The same as `PollWindow::replaces`.
local function replaces(new, held)
    if new.times <= held.times then
        return new.times == held.times
    end
    local may_open = new.opens <= held.opens or early <= held.opens
    local may_close = new.closes == held.closes or (early <= new.closes and early <= held.closes)
    local may_rule = new.rules <= held.rules or early <= held.opens
    return may_open and may_close and may_rule
end

local answer = {}
for i = 2, #ARGV, 5 do
    local new = table.concat(ARGV, ' ', i + 1, i + 4)
    local held = redis.call('HGET', KEYS[2], ARGV[i])
    -- Only what changes: at its memory limit Redis refuses to write even what is there.
    if held ~= new then
        local window = held and read(held)
        if held and not window then
            return redis.error_reply('UNREADABLE the window of poll ' .. ARGV[i])
        end
        if not held or replaces(read(new), window) then
            redis.call('HSET', KEYS[2], ARGV[i], new)
            held = new
        end
    end
    answer[#answer + 1] = held
end
return { clock, answer }
