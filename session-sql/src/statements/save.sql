-- Replaces a live record that is at a revision.
UPDATE {table} SET {set}
WHERE digest = :digest AND substr(commits, 1, 24) = :from AND deadline > {now} AND {lock}
