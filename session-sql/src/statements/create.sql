-- Creates a record where there is none.
INSERT INTO {table} (
    digest, incarnation, version, ops, deadline, holder, lease_until,
    absolute_deadline, principal, epoch, checksum, payload
) VALUES (
    :digest, :new_incarnation, :new_version, :op, {least}({now} + :ttl, :absolute), NULL, 0,
    :absolute, :principal, :epoch, :checksum, :payload
)
