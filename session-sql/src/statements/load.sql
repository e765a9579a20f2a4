-- Reads a live record.
SELECT {head}, payload FROM {table} WHERE digest = :digest AND deadline > {now}
