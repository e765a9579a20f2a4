-- Replaces a record that is as expected.
-- ARGV[1] mode(1: a, i, r, l) revision(24) lease(16) then(1: k, r) lineage(1: c, n) ttl(8) absolute(8)
-- ARGV[2] the record, with zeros where it is filled in here
-- Answers with the revision if it is not the one in ARGV[2], and a 1 if the principal may be another
-- one now.
local key, want, value = KEYS[1], ARGV[1], ARGV[2]
local sub, pack, unpack = string.sub, struct.pack, struct.unpack
local head = redis.call('GETRANGE', key, 0, 184)
local magic = sub(head, 1, 4)
if head == '' or magic == LOCK_ONLY then return NOT_FOUND end
if magic ~= RECORD then return CORRUPT end
local op, mode = sub(value, 69, 84), sub(want, 1, 1)
local known = sub(head, 5, 28) == sub(want, 2, 25)
local found
if known then
  found = sub(head, 69, 84) == op and 1
else
  found = string.find(sub(head, 69, 132), op, 1, true)
end
if found and found % 16 == 1 then
  local number = unpack('>I4', head, 21) - (found - 1) / 16
  if WAITS then redis.call('SETRANGE', key, 4, sub(head, 5, 20)) end
  return {OK, sub(head, 5, 20) .. pack('>I4', number) .. sub(op, 1, 4), 1}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lock, until_, wanted = sub(head, 37, 68), 0, 0
if lock ~= NO_LOCK then until_, wanted = unpack('>I8I8', lock) end
if mode == 'l' then
  if sub(lock, 17, 32) ~= sub(want, 26, 41) then return LOST end
  if sub(want, 42, 42) == 'r' then lock = NO_LOCK end
else
  if mode == 'r' and until_ > now then return {HELD, until_ - now} end
  lock = NO_LOCK
end
if not known and mode ~= 'a' and (mode ~= 'i' or sub(head, 5, 20) ~= sub(want, 2, 17)) then
  return {CONFLICT, redis.call('GET', key), now}
end
local goes_on = sub(want, 43, 43) == 'c'
local ttl, absolute = unpack('>I8I8', want, 44)
local deadline = math.min(now + ttl, absolute)
local revision = nil
if goes_on and not known then
  revision = sub(head, 5, 20) .. pack('>I4', unpack('>I4', head, 21) + 1) .. sub(op, 1, 4)
end
if deadline > now then
  local at, filled = 28, pack('>I8', deadline) .. lock .. op .. (goes_on and sub(head, 69, 116) or NO_OPS)
  if revision then at, filled = 4, revision .. filled end
  redis.call('SET', key, value, 'PXAT', string.format('%.0f', deadline))
  -- A value that is over by now is not there any more, and would be made without an expiry.
  if redis.call('SETRANGE', key, at, filled) ~= #value then redis.call('UNLINK', key) end
elseif lock ~= NO_LOCK and until_ > now then
  local alone = LOCK_ONLY .. NO_REVISION .. FAR .. lock .. NO_OPS .. NOBODY
  redis.call('SET', key, alone, 'PXAT', string.format('%.0f', until_ + LINGER))
else
  redis.call('UNLINK', key)
end
if wanted > now and lock == NO_LOCK then redis.pcall('PUBLISH', key, '') end
if string.byte(value, 137) >= 2 and sub(head, 154, 185) ~= sub(value, 154, 185) then
  return {OK, revision or sub(value, 5, 28), 1}
end
return revision and {OK, revision} or OK
