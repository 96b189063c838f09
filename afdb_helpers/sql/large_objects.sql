-- How many large objects are there, and may the role read what is in them?
SELECT (SELECT count(*) FROM pg_largeobject_metadata) AS number, has_table_privilege('pg_largeobject', 'SELECT') AS readable
