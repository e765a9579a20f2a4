-- Removes a live record that is at a revision, and leaves its lock.
UPDATE {table}
SET commits = :empty, deadline = 0, absolute_deadline = :never, principal = NULL, data = :empty
WHERE digest = :digest AND substr(commits, 1, 24) = :from AND deadline > {now} AND {lock}
