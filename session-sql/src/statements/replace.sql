-- Creates a record in the place of one that has expired, or of a lock alone.
UPDATE {table} SET {set}
WHERE digest = :digest AND deadline <= {now} AND {lock}
