-- What a commit writes. MySQL assigns from left to right and goes on with the new values, so what
-- depends on the incarnation comes before it.
ops = CASE WHEN incarnation = :new_incarnation THEN {ops} ELSE :op END,
{unlock}
incarnation = :new_incarnation,
version = :new_version,
deadline = {least}({now} + :ttl, :absolute),
absolute_deadline = :absolute,
principal = :principal,
epoch = :epoch,
checksum = :checksum,
payload = :payload
