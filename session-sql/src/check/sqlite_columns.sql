SELECT CAST(name AS BLOB), CAST(lower(type) AS BLOB),
    CAST(CASE WHEN "notnull" THEN 'NO' ELSE 'YES' END AS BLOB), CAST('' AS BLOB),
    CAST(CASE WHEN "notnull" AND dflt_value IS NULL AND hidden = 0 THEN 'NO' ELSE 'YES' END AS BLOB),
    CAST('' AS BLOB)
FROM pragma_table_xinfo('{name}')
ORDER BY cid
