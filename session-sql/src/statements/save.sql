-- Replaces a live record that is at a revision.
UPDATE {table} SET {set}
WHERE digest = :digest AND incarnation = :incarnation AND version = :version
    AND deadline > {now} AND {lock}
