SELECT convert_to(a.attname::text, 'UTF8'), convert_to(format_type(a.atttypid, a.atttypmod), 'UTF8'),
    convert_to(CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END, 'UTF8'),
    convert_to(COALESCE(c.collname::text, ''), 'UTF8'),
    convert_to(CASE WHEN a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' THEN 'NO' ELSE 'YES' END, 'UTF8'),
    convert_to('', 'UTF8')
FROM pg_catalog.pg_attribute AS a
LEFT JOIN pg_catalog.pg_collation AS c ON c.oid = a.attcollation
WHERE a.attrelid = to_regclass('{table}') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
