-- Gives the lock back. A lock without a record leaves a row that the sweep removes.
UPDATE {table} SET holder = NULL, lease_until = 0 WHERE digest = :digest AND holder = :lease
{tell}
