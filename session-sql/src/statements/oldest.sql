-- The deadline of the record that expired first, and how long ago.
SELECT deadline, {start} - deadline FROM {table}
WHERE deadline >= :low AND deadline <= {start} AND lease_until <= {start} ORDER BY deadline LIMIT 1
