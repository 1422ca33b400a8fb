-- Appends an entry, unless it comes too late, or the shard takes no ballots in one of its polls: it is sealed for
-- the poll, or has a window for it that says otherwise.
-- KEYS: log, stats, sealed, windows. ARGV: payload, ballots, deadline in ms of this server's clock, traces
-- (may be empty), the ms after which the entry's id must not be (may be empty), then of each poll its id and the rules by
-- which its ballots were cast (may be empty).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[3]) then
    return redis.error_reply('LATE the entry came after its deadline')
end

-- Whether the shard has a window for one of the polls.
local is_timed = false

-- The server's data has had no other source since it got this number: Redis draws it when it starts, and when a
-- replica begins to take writes. So a window with another one may be from a backup, or from a master that had newer times.
local life

local function is_of_this_life(of)
    life = life or string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
    return of == life
end

-- Why the shard does not take the entry at this moment; nothing if it does.
local function refusal(ms)
    if ARGV[5] ~= '' and ms > tonumber(ARGV[5]) then
        return 'LATE the entry came after its deadline'
    end
    for i = 6, #ARGV, 2 do
        local poll, rules = ARGV[i], ARGV[i + 1]
        if redis.call('SISMEMBER', KEYS[3], poll) == 1 then
            return 'SEALED ' .. poll
        end
        local window = redis.call('HGET', KEYS[4], poll)
        if window then
            is_timed = true
            local held, opens, closes, of = string.match(window, '^(%d+) %d+ ([%d-]+) ([%d-]+) (%x+)$')
            if not held then
                return 'UNREADABLE the window of poll ' .. poll
            end
            if not is_of_this_life(of) then
                return 'NOTIMES ' .. poll
            end
            if tonumber(rules == '' and 0 or rules) ~= tonumber(held) then
                return 'CHANGED ' .. poll
            end
            if opens ~= '-' and ms < tonumber(opens) then
                return 'NOTOPEN ' .. poll
            end
            if closes ~= '-' and ms >= tonumber(closes) then
                return 'SEALED ' .. poll
            end
        elseif rules ~= '' then
            return 'NOTIMES ' .. poll
        end
    end
end

local function last_ms()
    if redis.call('EXISTS', KEYS[1]) == 0 then
        return 0
    end
    local stream = redis.call('XINFO', 'STREAM', KEYS[1])
    for i = 1, #stream, 2 do
        if stream[i] == 'last-generated-id' then
            return tonumber(string.match(stream[i + 1], '^%d+'))
        end
    end
end

local function add(call, id)
    if ARGV[4] == '' then
        return call('XADD', KEYS[1], id, 'b', ARGV[1], 'n', ARGV[2])
    end
    return call('XADD', KEYS[1], id, 'b', ARGV[1], 'n', ARGV[2], 't', ARGV[4])
end

-- Appends the entry with the ms in its id that the windows and the deadline were compared with, which is done first: an entry that was
-- added cannot be taken back. Tries the server's clock; then, where this is behind the ids, the ms of the last id;
-- then, where all ids of that ms are in use, the next one.
local function add_in_time(why)
    local ms = now
    while true do
        local answer = why and redis.error_reply(why)
            or add(redis.pcall, string.format('%.0f-*', ms))
        if type(answer) == 'string' or (why and string.sub(why, 1, 7) ~= 'NOTOPEN') then
            return answer
        end
        local last = last_ms()
        if last < ms or (last == ms and why) then
            return answer
        end
        ms = math.max(last, ms + 1)
        why = refusal(ms)
    end
end

local why = refusal(now)
local id
if is_timed or ARGV[5] ~= '' then
    id = add_in_time(why)
elseif why then
    id = redis.error_reply(why)
else
    id = add(redis.call, '*')
end
if type(id) == 'table' then
    return id
end
-- Whatever happens from here on, the entry is in the log.
redis.pcall('HINCRBY', KEYS[2], 'accepted', ARGV[2])
return { id, now }
