SELECT epoch FROM {epochs} WHERE principal = :principal
