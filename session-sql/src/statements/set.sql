-- What a commit writes.
commits = {commits},
{unlock}
deadline = {least}({now} + :ttl, :absolute),
absolute_deadline = :absolute,
principal = :principal,
data = :data
