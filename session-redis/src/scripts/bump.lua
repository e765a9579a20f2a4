-- Raises the epoch of a principal, which is kept for ever: sessions are compared with it.
local epoch = redis.call('INCR', KEYS[1])
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', (struct.unpack('>I8', FAR))))
return {OK, epoch}
