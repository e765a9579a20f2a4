SELECT CAST(c.column_name AS BINARY), CAST(c.column_type AS BINARY), CAST(c.is_nullable AS BINARY),
    CAST(COALESCE(c.collation_name, '') AS BINARY),
    CAST(IF(c.column_default IS NULL AND c.is_nullable = 'NO' AND c.extra = '', 'NO', 'YES') AS BINARY),
    CAST(COALESCE(t.engine, '') AS BINARY)
FROM information_schema.columns AS c
JOIN information_schema.tables AS t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
WHERE c.table_schema = {schema} AND c.table_name = '{name}'
ORDER BY c.ordinal_position
