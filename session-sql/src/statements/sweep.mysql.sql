-- The join in this order: else the whole range may be read, and locked, for one batch.
DELETE swept FROM ({expired} FOR UPDATE SKIP LOCKED) AS expired
STRAIGHT_JOIN {table} AS swept ON swept.digest = expired.digest
WHERE swept.deadline <= {start}
