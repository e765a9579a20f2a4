-- Tells who waits for the lock that it is free. A commit that tells waits for others that do, so this
-- is for those only who asked to be told.
RETURNING CASE WHEN wanted_until > {now} THEN pg_notify('{channel}', encode(digest, 'hex'))::text END
