-- How many other clients of this database are there whose transactions the current role is not shown?
SELECT count(*)
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND query = '<insufficient privilege>'
