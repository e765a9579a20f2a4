-- Removes a record that is as expected.
-- ARGV: mode, revision, secret, what happens to the lock: keep, release, break
local value = redis.call('GET', data)
if value then
  local refused = refusal(ARGV[1], value, ARGV[2], ARGV[3])
  if refused then return refused end
  redis.call('DEL', data)
  if ARGV[4] ~= 'keep' then free() end
elseif ARGV[4] == 'break' or ARGV[4] == 'release' and holder() == ARGV[3] then
  free()
end
return {OK}
