-- Takes the lock if it is free, and reads what is under the key.
{placeholder}
ON DUPLICATE KEY UPDATE
    holder = IF(lease_until <= {now} OR holder = VALUES(holder), VALUES(holder), holder),
    lease_until = IF(holder = VALUES(holder), {now} + :duration, lease_until)
RETURNING {head}, IF(holder = :lease, data, :empty), holder, lease_until
