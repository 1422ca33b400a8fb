#!lua flags=allow-oom
-- Does nothing, and is refused whenever an acknowledgement is. At the memory limit it is not: to acknowledge
-- is what makes room.
-- KEYS: log. ARGV: group.
if not redis.acl_check_cmd('XACK', KEYS[1], ARGV[1], '0-1') then
    return redis.error_reply('NOPERM this user may not XACK in the log')
end
return 1
