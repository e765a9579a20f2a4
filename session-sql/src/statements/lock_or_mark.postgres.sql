-- Takes the lock if it is free, and reads what is under the key; else asks to be told when it is free.
-- Whether it is free is asked once, since time goes on within the statement.
{placeholder}
ON CONFLICT (digest) DO UPDATE SET (holder, lease_until, wanted_until) = (
    SELECT
        CASE WHEN free THEN excluded.holder ELSE {name}.holder END,
        CASE WHEN free THEN {now} + :duration ELSE {name}.lease_until END,
        CASE WHEN free THEN 0 ELSE {now} + :mark END
    FROM (
        SELECT {name}.lease_until <= {now} OR {name}.holder = excluded.holder AS free OFFSET 0
    ) AS asked
)
RETURNING {head}, CASE WHEN holder = :lease THEN data ELSE :empty END, holder, lease_until
