SELECT convert_to(c.relname::text, 'UTF8'),
    convert_to(CASE WHEN i.indisprimary THEN 'primary' WHEN i.indisunique THEN 'unique' ELSE 'plain' END, 'UTF8'),
    convert_to(pg_get_indexdef(i.indexrelid, k.number, true), 'UTF8'),
    convert_to(COALESCE(pg_get_expr(i.indpred, i.indrelid), ''), 'UTF8')
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
CROSS JOIN generate_series(1, i.indnkeyatts::int) AS k(number)
WHERE i.indrelid = to_regclass('{table}') AND i.indisvalid AND m.amname = 'btree'
ORDER BY c.relname, k.number
