-- How long ago the oldest expired record expired.
SELECT {start} - deadline FROM {table}
WHERE deadline > 0 AND deadline <= {start} AND lease_until <= {start} ORDER BY deadline LIMIT 1
