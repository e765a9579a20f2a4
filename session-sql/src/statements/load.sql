-- Reads a record. Whether it lives is seen by the time that comes with it.
SELECT {head}, data FROM {table} WHERE digest = :digest
