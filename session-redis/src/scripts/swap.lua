-- Replaces a record that begins as ARGV[1] does with ARGV[2], until ARGV[3]; else answers nil.
local key = KEYS[1]
if redis.call('GETRANGE', key, 0, 67) ~= ARGV[1] then return false end
return redis.call('SET', key, ARGV[2], 'PXAT', ARGV[3])
