-- Reads everything under a key.
SELECT {head}, data, holder, lease_until FROM {table} WHERE digest = :digest
