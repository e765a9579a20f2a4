-- Removes a live record that is at a revision, and its lock.
DELETE FROM {table}
WHERE digest = :digest AND incarnation = :incarnation AND version = :version
    AND deadline > {now} AND {lock}
