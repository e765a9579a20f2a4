-- Removes a live record of an incarnation, whoever holds the lock.
DELETE FROM {table} WHERE digest = :digest AND incarnation = :incarnation AND deadline > {now}
{tell}
