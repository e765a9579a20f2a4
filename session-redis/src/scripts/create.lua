-- Creates a record where there is none.
-- ARGV[1] op(16) incarnation(16) ttl(8) absolute(8) lease(16, zero without) then(1: k, r)
-- ARGV[2] the block
-- Answers with the revision, and a 1 as the principal is another one now.
local key, want = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local op, lease = string.sub(want, 1, 16), string.sub(want, 49, 64)
local lock, waiting = NO_LOCK, false
local head = redis.call('GETRANGE', key, 0, 131)
if head ~= '' then
  local magic = string.sub(head, 1, 4)
  if magic ~= LOCK_ONLY then
    if magic ~= RECORD then return {CORRUPT} end
    local found = string.find(string.sub(head, 69, 132), op, 1, true)
    if found and found % 16 == 1 then
      local number = struct.unpack('>I4', head, 21) - (found - 1) / 16
      local version = struct.pack('>I4', number) .. string.sub(op, 1, 4)
      if WAITS then redis.call('SETRANGE', key, 4, string.sub(head, 5, 20)) end
      return {OK, string.sub(head, 5, 20) .. version, 1}
    end
    return {EXISTS}
  end
  lock = string.sub(head, 37, 68)
  local until_, wanted = struct.unpack('>I8I8', lock)
  if lease == NOBODY then
    if until_ > now then return {HELD, until_ - now} end
    lock = NO_LOCK
  elseif string.sub(lock, 17, 32) ~= lease then
    return {LOST}
  end
  waiting = wanted > now
elseif lease ~= NOBODY then
  return {LOST}
end
local ttl, absolute = struct.unpack('>I8I8', want, 33)
local deadline = math.min(now + ttl, absolute)
local revision = string.sub(want, 17, 32) .. FIRST .. string.sub(op, 1, 4)
if string.sub(want, 65, 65) == 'r' then lock = NO_LOCK end
if deadline > now then
  local value = RECORD .. revision .. struct.pack('>I8', deadline) .. lock .. op .. NO_OPS .. ARGV[2]
  redis.call('SET', key, value, 'PXAT', string.format('%.0f', deadline))
elseif lock == NO_LOCK then
  redis.call('UNLINK', key)
end
if waiting and lock == NO_LOCK then redis.pcall('PUBLISH', key, '') end
return {OK, revision, 1}
