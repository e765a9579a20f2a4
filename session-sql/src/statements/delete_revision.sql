-- Removes a live record that is at a revision, and its lock.
DELETE FROM {table}
WHERE digest = :digest AND substr(commits, 1, 24) = :from AND deadline > {now} AND {lock}
