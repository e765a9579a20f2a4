-- Removes a live record that is at a revision, and leaves its lock.
UPDATE {table}
SET incarnation = :none, version = 0, ops = :empty, deadline = 0, absolute_deadline = :never,
    principal = NULL, epoch = 0, checksum = 0, payload = :empty
WHERE digest = :digest AND incarnation = :incarnation AND version = :version
    AND deadline > {now} AND {lock}
