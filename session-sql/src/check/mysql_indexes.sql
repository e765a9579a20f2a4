SELECT CAST(index_name AS BINARY),
    CAST(IF(index_name = 'PRIMARY', 'primary', IF(non_unique = 0, 'unique', 'plain')) AS BINARY),
    CAST(CONCAT(COALESCE(column_name, '?'), IF(sub_part IS NULL, '', CONCAT('(', sub_part, ')'))) AS BINARY),
    CAST('' AS BINARY)
FROM information_schema.statistics
WHERE table_schema = {schema} AND table_name = '{name}' AND index_type = 'BTREE'
ORDER BY index_name, seq_in_index
