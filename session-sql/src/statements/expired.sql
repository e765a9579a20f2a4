-- What the sweep may remove, oldest first.
SELECT digest FROM {table}
WHERE deadline >= :low AND deadline <= :high AND deadline <= {start}
    AND lease_until <= {start}
ORDER BY deadline LIMIT :limit
