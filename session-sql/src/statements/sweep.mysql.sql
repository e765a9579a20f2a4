DELETE swept FROM {table} AS swept
JOIN ({expired} FOR UPDATE SKIP LOCKED) AS expired ON swept.digest = expired.digest
WHERE swept.deadline <= {start}
