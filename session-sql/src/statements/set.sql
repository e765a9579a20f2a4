-- What a commit writes. MySQL assigns from left to right and goes on with the new values, so what
-- depends on the incarnation and the holder comes before them.
ops = CASE WHEN incarnation = :new_incarnation THEN {ops} ELSE :op END,
lease_until = CASE WHEN :keep = 1 THEN lease_until ELSE 0 END,
holder = CASE WHEN :keep = 1 THEN holder END,
incarnation = :new_incarnation,
version = :new_version,
deadline = {least}({now} + :ttl, :absolute),
absolute_deadline = :absolute,
principal = :principal,
epoch = :epoch,
checksum = :checksum,
payload = :payload
