DELETE FROM {table} WHERE digest IN ({expired})
