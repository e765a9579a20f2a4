WITH expired AS MATERIALIZED ({expired} FOR UPDATE SKIP LOCKED)
DELETE FROM {table} AS swept USING expired
WHERE swept.digest = expired.digest AND swept.deadline <= {start}
