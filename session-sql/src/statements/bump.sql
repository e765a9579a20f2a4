INSERT INTO {epochs} (principal, epoch) VALUES (:principal, 1)
ON CONFLICT (principal) DO UPDATE SET epoch = {epochs_name}.epoch + 1
RETURNING epoch
