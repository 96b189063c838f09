-- Which indexes were left half built, by the name that a statement can use?
SELECT indexrelid::regclass::text FROM pg_index WHERE NOT (indisvalid AND indisready) ORDER BY 1
