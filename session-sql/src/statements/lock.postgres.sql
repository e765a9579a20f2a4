-- Takes the lock if it is free, and reads what is under the key.
{placeholder}
ON CONFLICT (digest) DO UPDATE
SET holder = excluded.holder, lease_until = {now} + :duration, wanted_until = 0
WHERE {name}.lease_until <= {now} OR {name}.holder = excluded.holder
RETURNING {head}, data, holder, lease_until
