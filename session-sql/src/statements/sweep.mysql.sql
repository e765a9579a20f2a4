-- The join in this order and by the key: else the whole range may be read, and locked, for one batch,
-- and somebody's lock on a row of it be waited for.
DELETE swept FROM ({expired} FOR UPDATE SKIP LOCKED) AS expired
STRAIGHT_JOIN {table} AS swept FORCE INDEX (PRIMARY) ON swept.digest = expired.digest
WHERE swept.deadline <= {start}
