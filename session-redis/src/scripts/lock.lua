-- Takes the lock if it is free, and reads the record.
-- ARGV[1] op(16) lease(8) wanted(8: for how long the caller wants to be told of a release)
local key, want = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local op = string.sub(want, 1, 16)
local lease, wants = struct.unpack('>I8I8', want, 17)
local value = redis.call('GET', key)
if not value then
  local lock = struct.pack('>I8I8', now + lease, 0) .. op
  value = LOCK_ONLY .. NO_REVISION .. FAR .. lock .. NO_OPS .. NOBODY
  redis.call('SET', key, value, 'PX', string.format('%.0f', lease + LINGER))
  return {OK}
end
local magic = string.sub(value, 1, 4)
if magic ~= RECORD and magic ~= LOCK_ONLY then return {CORRUPT} end
local until_, wanted = struct.unpack('>I8I8', value, 37)
if until_ > now and string.sub(value, 53, 68) ~= op then
  if wants > 0 and now + wants > wanted then
    redis.call('SETRANGE', key, 44, struct.pack('>I8', now + wants))
  end
  return {HELD, until_ - now}
end
redis.call('SETRANGE', key, 36, struct.pack('>I8I8', now + lease, wanted) .. op)
if magic == RECORD then return {OK, value, now} end
redis.call('PEXPIRE', key, string.format('%.0f', lease + LINGER))
return {OK}
