-- Raises an epoch that was never raised.
INSERT INTO {epochs} (principal, epoch) VALUES (:principal, :epoch)
