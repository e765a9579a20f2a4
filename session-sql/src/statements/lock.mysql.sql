-- Takes the lock if it is free. What is under the key must be read then.
UPDATE {table} SET holder = :lease, lease_until = {now} + :duration
WHERE digest = :digest AND (lease_until <= {now} OR holder = :lease)
