-- Extends the life of a record.
-- ARGV[1] incarnation(16) ttl(8)
local key, want = KEYS[1], ARGV[1]
local head = redis.call('GETRANGE', key, 0, 144)
local magic = string.sub(head, 1, 4)
if head == '' or magic == LOCK_ONLY then return {NOT_FOUND} end
if magic ~= RECORD or #head < 145 then return {CORRUPT} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if string.sub(head, 5, 20) ~= string.sub(want, 1, 16) then
  return {CONFLICT, redis.call('GET', key), now}
end
local deadline = math.min(now + struct.unpack('>I8', want, 17), (struct.unpack('>I8', head, 138)))
if deadline > struct.unpack('>I8', head, 29) then
  redis.call('SETRANGE', key, 28, struct.pack('>I8', deadline))
  redis.call('PEXPIREAT', key, string.format('%.0f', deadline))
end
return {OK}
