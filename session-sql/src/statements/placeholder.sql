-- Takes the lock of a key that has nothing.
INSERT INTO {table} (
    digest, incarnation, version, ops, deadline, holder, lease_until,
    absolute_deadline, principal, epoch, checksum, payload
) VALUES (
    :digest, :none, 0, :empty, 0, :lease, {now} + :duration, :never, NULL, 0, 0, :empty
)
