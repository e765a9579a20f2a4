-- Reads everything under a key.
SELECT incarnation, version, deadline, absolute_deadline, principal, epoch, checksum, payload, {now},
    ops, holder, lease_until
FROM {table} WHERE digest = :digest
