-- Both tables are named by constants: else MariaDB opens all tables of all databases.
SELECT CAST(c.column_name AS BINARY), CAST(c.column_type AS BINARY), CAST(c.is_nullable AS BINARY),
    CAST(COALESCE(c.collation_name, '') AS BINARY),
    CAST(IF(c.column_default IS NULL AND c.is_nullable = 'NO' AND c.extra = '', 'NO', 'YES') AS BINARY),
    CAST(COALESCE(t.engine, '') AS BINARY)
FROM information_schema.columns AS c CROSS JOIN information_schema.tables AS t
WHERE c.table_schema = {schema} AND c.table_name = '{name}'
    AND t.table_schema = {schema} AND t.table_name = '{name}'
ORDER BY c.ordinal_position
