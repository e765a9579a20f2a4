-- A page of the live sessions of a principal.
SELECT digest, substr(commits, 1, 16) FROM {table}
WHERE principal = :principal AND digest > :after AND deadline > {now} ORDER BY digest LIMIT :limit
