-- A page of all live sessions.
SELECT digest FROM {table}
WHERE digest > :after AND deadline > {now} ORDER BY digest LIMIT :limit
