-- Gives the lock back.
-- ARGV[1] lease(16)
local key = KEYS[1]
local head = redis.call('GETRANGE', key, 0, 67)
if string.sub(head, 53, 68) ~= ARGV[1] then return {OK} end
local time = redis.call('TIME')
if string.sub(head, 1, 4) == LOCK_ONLY then
  redis.call('UNLINK', key)
else
  redis.call('SETRANGE', key, 36, NO_LOCK)
end
if struct.unpack('>I8', head, 45) > time[1] * 1000 then redis.pcall('PUBLISH', key, '') end
return {OK}
