-- Creates a record where there is none.
-- ARGV[1] lease(16, zero without) then(1: k, r) ttl(8) absolute(8)
-- ARGV[2] the record, with zeros where it is filled in here
-- Answers with the revision if it is not the one in ARGV[2].
local key, want, value = KEYS[1], ARGV[1], ARGV[2]
local sub, pack, unpack = string.sub, struct.pack, struct.unpack
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = sub(want, 1, 16)
local lock, waiting = NO_LOCK, false
local head = redis.call('GETRANGE', key, 0, 131)
if head ~= '' then
  local magic = sub(head, 1, 4)
  if magic ~= LOCK_ONLY then
    if magic ~= RECORD then return CORRUPT end
    local op = sub(value, 69, 84)
    local found = string.find(sub(head, 69, 132), op, 1, true)
    if found and found % 16 == 1 then
      local number = unpack('>I4', head, 21) - (found - 1) / 16
      if WAITS then redis.call('SETRANGE', key, 4, sub(head, 5, 20)) end
      return {OK, sub(head, 5, 20) .. pack('>I4', number) .. sub(op, 1, 4), 1}
    end
    return EXISTS
  end
  lock = sub(head, 37, 68)
  local until_, wanted = unpack('>I8I8', lock)
  if lease == NOBODY then
    if until_ > now then return {HELD, until_ - now} end
    lock = NO_LOCK
  elseif sub(lock, 17, 32) ~= lease then
    return LOST
  end
  waiting = wanted > now
elseif lease ~= NOBODY then
  return LOST
end
if sub(want, 17, 17) == 'r' then lock = NO_LOCK end
local ttl, absolute = unpack('>I8I8', want, 18)
local deadline = math.min(now + ttl, absolute)
if deadline > now then
  redis.call('SET', key, value, 'PXAT', string.format('%.0f', deadline))
  -- A value that is over by now is not there any more, and would be made without an expiry.
  local filled = pack('>I8', deadline) .. lock
  if redis.call('SETRANGE', key, 28, filled) ~= #value then redis.call('UNLINK', key) end
elseif lock == NO_LOCK then
  redis.call('UNLINK', key)
end
if waiting and lock == NO_LOCK then redis.pcall('PUBLISH', key, '') end
return OK
