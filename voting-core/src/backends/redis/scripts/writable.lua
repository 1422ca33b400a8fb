#!lua
-- Does nothing, and is refused whenever an append is: by a replica, at the memory limit, while a disk fails, while
-- writes are paused, to a user without the right to add.
-- KEYS: log, or none, of whose rights then nothing is asked.
if KEYS[1] and not redis.acl_check_cmd('XADD', KEYS[1], '*', 'b', '', 'n', '0') then
    return redis.error_reply('NOPERM this user may not XADD to the log')
end
return 1
