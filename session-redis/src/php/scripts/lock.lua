-- Takes the lock if it is free, and reads the record.
-- ARGV: secret, milliseconds
local held = holder()
if held and held ~= ARGV[1] then return {HELD, redis.call('PTTL', lock)} end
redis.call('SET', lock, ARGV[1], 'PX', ARGV[2])
local value = redis.call('GET', data)
if not value then return {OK} end
return {OK, value, redis.call('PTTL', data)}
