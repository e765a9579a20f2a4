-- Notes a session of a principal, and hands out others to look after.
-- ARGV[1] the session's digest(32)   ARGV[2] how long it may live at the most, in milliseconds
local key = KEYS[1]
redis.call('ZADD', key, 0, ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = math.max(now + ARGV[2], now + redis.call('PTTL', key))
redis.call('PEXPIREAT', key, string.format('%.0f', last))
return {OK, redis.call('ZRANDMEMBER', key, 2)}
