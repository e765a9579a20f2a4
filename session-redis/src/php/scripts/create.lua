-- Creates a record where there is none.
-- ARGV: value, ttl, secret of the lease or '', what happens to the lock: keep, release
if redis.call('EXISTS', data) == 1 then return {EXISTS} end
local held = holder()
if ARGV[3] ~= '' then
  if held ~= ARGV[3] then return {LOST} end
elseif held then
  return {HELD, redis.call('PTTL', lock)}
end
put(ARGV[1], ARGV[2])
if ARGV[4] == 'release' then free() end
return {OK}
