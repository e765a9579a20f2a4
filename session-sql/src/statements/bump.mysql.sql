INSERT INTO {epochs} (principal, epoch) VALUES (:principal, 1)
ON DUPLICATE KEY UPDATE epoch = epoch + 1
