-- Lets a lease last from now on.
UPDATE {table} SET lease_until = {now} + :duration WHERE digest = :digest AND holder = :lease
