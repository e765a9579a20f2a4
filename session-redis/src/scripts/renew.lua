-- Lets a lease last from now on.
-- ARGV[1] lease(16) duration(8)
local key, want = KEYS[1], ARGV[1]
local head = redis.call('GETRANGE', key, 0, 67)
if string.sub(head, 53, 68) ~= string.sub(want, 1, 16) then return {LOST} end
local time = redis.call('TIME')
local lease = struct.unpack('>I8', want, 17)
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SETRANGE', key, 36, struct.pack('>I8', now + lease))
if string.sub(head, 1, 4) == LOCK_ONLY then
  redis.call('PEXPIRE', key, string.format('%.0f', lease + LINGER))
end
return {OK}
