-- Replaces a record that is as expected.
-- ARGV[1] op(16) mode(1: a, i, r, l) revision(24) lease(16) then(1: k, r) restart(16, zero to go on)
--         ttl(8) absolute(8)
-- ARGV[2] the block
-- Answers with the revision, and a 1 if the principal may be another one now.
local key, want = KEYS[1], ARGV[1]
local head = redis.call('GETRANGE', key, 0, 184)
local magic = string.sub(head, 1, 4)
if head == '' or magic == LOCK_ONLY then return {NOT_FOUND} end
if magic ~= RECORD then return {CORRUPT} end
local op, ops = string.sub(want, 1, 16), string.sub(head, 69, 132)
local number, mark = struct.unpack('>I4', head, 21), string.sub(want, 1, 4)
local found = string.find(ops, op, 1, true)
if found and found % 16 == 1 then
  local version = struct.pack('>I4', number - (found - 1) / 16) .. mark
  if WAITS then redis.call('SETRANGE', key, 4, string.sub(head, 5, 20)) end
  return {OK, string.sub(head, 5, 20) .. version, 1}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mode = string.sub(want, 17, 17)
local until_, wanted = struct.unpack('>I8I8', head, 37)
local lock, matches = NO_LOCK, true
if mode == 'l' then
  if string.sub(head, 53, 68) ~= string.sub(want, 42, 57) then return {LOST} end
  if string.sub(want, 58, 58) == 'k' then lock = string.sub(head, 37, 68) end
elseif mode == 'r' and until_ > now then
  return {HELD, until_ - now}
end
if mode == 'i' then
  matches = string.sub(head, 5, 20) == string.sub(want, 18, 33)
elseif mode ~= 'a' then
  matches = string.sub(head, 5, 28) == string.sub(want, 18, 41)
end
if not matches then return {CONFLICT, redis.call('GET', key), now} end
local revision
local restart = string.sub(want, 59, 74)
if restart == NOBODY then
  revision = string.sub(head, 5, 20) .. struct.pack('>I4', number + 1) .. mark
  ops = op .. string.sub(ops, 1, 48)
else
  revision = restart .. FIRST .. mark
  ops = op .. NO_OPS
end
local ttl, absolute = struct.unpack('>I8I8', want, 75)
local deadline = math.min(now + ttl, absolute)
if deadline > now then
  local value = RECORD .. revision .. struct.pack('>I8', deadline) .. lock .. ops .. ARGV[2]
  redis.call('SET', key, value, 'PXAT', string.format('%.0f', deadline))
elseif lock ~= NO_LOCK and until_ > now then
  local value = LOCK_ONLY .. NO_REVISION .. FAR .. lock .. NO_OPS .. NOBODY
  redis.call('SET', key, value, 'PXAT', string.format('%.0f', until_))
else
  redis.call('UNLINK', key)
end
if wanted > now and lock == NO_LOCK then redis.pcall('PUBLISH', key, '') end
if string.sub(head, 154, 185) ~= string.sub(ARGV[2], 22, 53) then return {OK, revision, 1} end
return {OK, revision}
