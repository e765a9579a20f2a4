local OK, NOT_FOUND, CONFLICT, HELD, LOST, EXISTS = 0, 1, 2, 3, 4, 5
-- Without locking there is one key.
local data, lock = KEYS[1], KEYS[2]
-- The revision of a record: half of a digest of its bytes.
local function revision(value) return string.sub(redis.sha1hex(value), 1, 32) end
local function holder() return lock and redis.call('GET', lock) end
local function free() if lock then redis.call('DEL', lock) end end
-- Stores a record for some milliseconds, or for ever.
local function put(value, ttl)
  if ttl == '' then
    redis.call('SET', data, value)
  elseif ttl == '0' then
    redis.call('DEL', data)
  else
    redis.call('SET', data, value, 'PX', ttl)
  end
end
local function conflict(value) return {CONFLICT, value, redis.call('PTTL', data)} end
-- Why a record must not be changed, if there is a reason.
-- mode: any, never, at a revision, under a lease
local function refusal(mode, value, expected, secret)
  if mode == 'any' then return nil end
  if mode == 'never' then return conflict(value) end
  local held = holder()
  if mode == 'revision' then
    if held then return {HELD, redis.call('PTTL', lock)} end
  elseif held and held ~= secret then
    return {LOST}
  end
  if revision(value) == expected then return nil end
  -- Of a lock that is gone nothing tells whether it lapsed or was taken, but the bytes do.
  if mode == 'lease' and not held then return {LOST} end
  return conflict(value)
end
