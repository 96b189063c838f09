-- Where does each sequence stand? NULL where no number was drawn yet, or where the role may not see it. Not bound to a snapshot.
SELECT schemaname || '.' || sequencename AS name, schemaname::text AS schema, last_value AS value
FROM pg_sequences
ORDER BY 1
