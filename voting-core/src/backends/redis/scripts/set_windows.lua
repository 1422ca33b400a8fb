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
-- See append.lua.
local life = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')

local function read(window)
    local rest, rules, times, opens, closes, of =
        string.match(window, '^((%d+) (%d+) ([%d-]+) ([%d-]+)) (%x+)$')
    if rules then
        return {
            text = rest,
            life = of,
            rules = tonumber(rules),
            times = tonumber(times),
            opens = tonumber(opens) or 0,
            closes = tonumber(closes) or math.huge,
        }
    end
end

-- The same as `PollWindow::replaces`. A window of an earlier life is an absent one, but for older times: a process that
-- has not heard of a change could otherwise take it back.
local function replaces(new, held)
    if held.life ~= life then
        return new.times >= held.times
    end
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
    local text = table.concat(ARGV, ' ', i + 1, i + 4) .. ' ' .. life
    local new = read(text)
    local there = redis.call('HGET', KEYS[2], ARGV[i])
    local held = there and read(there)
    if there and not held then
        return redis.error_reply('UNREADABLE the window of poll ' .. ARGV[i])
    end
    -- Only what changes: at its memory limit Redis refuses to write even what is there.
    if there ~= text and (not held or replaces(new, held)) then
        redis.call('HSET', KEYS[2], ARGV[i], text)
        held = new
    end
    answer[#answer + 1] = held.text
end
return { clock, answer }
