-- Removes a live record of an incarnation, whoever holds the lock.
DELETE FROM {table}
WHERE digest = :digest AND substr(commits, 1, 16) = :incarnation AND deadline > {now}
{tell}
