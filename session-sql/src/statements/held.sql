-- How long the lock is still held.
SELECT lease_until - {now} FROM {table} WHERE digest = :digest
