-- Reads everything under a key.
SELECT {head}, payload, ops, holder, lease_until FROM {table} WHERE digest = :digest
