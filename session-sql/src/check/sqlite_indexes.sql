SELECT CAST(l.name AS BLOB),
    CAST(CASE WHEN l.origin = 'pk' THEN 'primary' WHEN l."unique" THEN 'unique' ELSE 'plain' END AS BLOB),
    CAST(COALESCE(i.name, '?') AS BLOB),
    CAST(CASE WHEN l.partial THEN substr(s.sql, instr(upper(replace(s.sql, char(10), ' ')), ' WHERE ') + 7) ELSE '' END AS BLOB)
FROM pragma_index_list('{name}') AS l
LEFT JOIN sqlite_master AS s ON s.type = 'index' AND s.name = l.name
JOIN pragma_index_xinfo(l.name) AS i ON i.key = 1
ORDER BY l.name, i.seqno
