-- Creates a record where there is none.
INSERT INTO {table} (
    digest, commits, deadline, holder, lease_until, absolute_deadline, principal, data
) VALUES (
    :digest, :to, {least}({now} + :ttl, :absolute), NULL, 0, :absolute, :principal, :data
)
