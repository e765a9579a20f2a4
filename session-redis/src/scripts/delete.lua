-- Removes a record that is as expected.
-- ARGV[1] mode(1: a, i, r, l) revision(24) lease(16) then(1: k, r)
local key, want = KEYS[1], ARGV[1]
local head = redis.call('GETRANGE', key, 0, 131)
if head == '' then
  if WAITS then
    redis.call('SET', key, '', 'PX', 1)
    redis.call('UNLINK', key)
  end
  return {OK}
end
local magic = string.sub(head, 1, 4)
local mode, lease = string.sub(want, 1, 1), string.sub(want, 26, 41)
if magic ~= RECORD and magic ~= LOCK_ONLY then
  if mode ~= 'a' then return {CORRUPT} end
  redis.call('UNLINK', key)
  return {OK}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local until_, wanted = struct.unpack('>I8I8', head, 37)
local mine = string.sub(head, 53, 68) == lease
local keep = mode == 'l' and string.sub(want, 42, 42) == 'k'
if magic == LOCK_ONLY then
  if mode ~= 'a' and not (mode == 'l' and mine and not keep) then return {OK} end
else
  if mode == 'l' and not mine then return {LOST} end
  if mode == 'r' and until_ > now then return {HELD, until_ - now} end
  local matches = mode == 'a'
    or mode == 'i' and string.sub(head, 5, 20) == string.sub(want, 2, 17)
    or string.sub(head, 5, 28) == string.sub(want, 2, 25)
  if not matches then return {CONFLICT, redis.call('GET', key), now} end
end
if keep and until_ > now then
  local value = LOCK_ONLY .. NO_REVISION .. FAR .. string.sub(head, 37, 68) .. NO_OPS .. NOBODY
  redis.call('SET', key, value, 'PXAT', string.format('%.0f', until_ + LINGER))
else
  redis.call('UNLINK', key)
  if wanted > now then redis.pcall('PUBLISH', key, '') end
end
return {OK}
