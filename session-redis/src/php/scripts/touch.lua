-- Extends the life of a record.
-- ARGV: ttl, '' or 'never' when it cannot be the one that is meant
local left = redis.call('PTTL', data)
if left == -2 then return {NOT_FOUND} end
if ARGV[2] == 'never' then return conflict(redis.call('GET', data)) end
if left == -1 then return {OK} end
if ARGV[1] == '' then
  redis.call('PERSIST', data)
elseif tonumber(ARGV[1]) > left then
  redis.call('PEXPIRE', data, ARGV[1])
end
return {OK}
