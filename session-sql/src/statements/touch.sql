-- Extends the life of a record.
UPDATE {table}
SET deadline = {greatest}(deadline, {least}({now} + :ttl, absolute_deadline))
WHERE digest = :digest AND substr(commits, 1, 16) = :incarnation AND deadline > {now}
