-- Replaces a record that is as expected.
-- ARGV: value, ttl, mode, revision, secret, what happens to the lock: keep, release
local value = redis.call('GET', data)
if not value then return {NOT_FOUND} end
local refused = refusal(ARGV[3], value, ARGV[4], ARGV[5])
if refused then return refused end
put(ARGV[1], ARGV[2])
if ARGV[6] == 'release' then free() end
return {OK}
