-- Reads a live record.
SELECT incarnation, version, deadline, absolute_deadline, principal, epoch, checksum, payload, {now}
FROM {table} WHERE digest = :digest AND deadline > {now}
