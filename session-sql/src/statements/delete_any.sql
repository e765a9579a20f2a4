-- Removes whatever is under a key.
DELETE FROM {table} WHERE digest = :digest
{tell}
