-- Lets a lease last from now on. One that lapsed is taken again if the record is as it was.
-- ARGV: secret, milliseconds, the revision last seen, 'none' for no record, '' for not to be taken again
local held = holder()
if held ~= ARGV[1] then
  local value = redis.call('GET', data)
  if held or (value and revision(value) or 'none') ~= ARGV[3] then return {LOST} end
end
redis.call('SET', lock, ARGV[1], 'PX', ARGV[2])
return {OK}
