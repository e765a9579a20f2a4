-- Raises an epoch by one.
UPDATE {epochs} SET epoch = :epoch WHERE principal = :principal AND epoch = :epoch - 1
