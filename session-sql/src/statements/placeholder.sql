-- Takes the lock of a key that has nothing.
INSERT INTO {table} (
    digest, commits, deadline, holder, lease_until, absolute_deadline, principal, data
) VALUES (
    :digest, :empty, 0, :lease, {now} + :duration, :never, NULL, :empty
)
