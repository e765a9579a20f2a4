-- Raises the epoch of a principal. Its key has no expiry: sessions are compared with it for as long
-- as they live, and what has an expiry may be evicted.
return {OK, redis.call('INCR', KEYS[1])}
