-- Which server process is this session's, and has the session the settings that it was opened with?
SELECT pg_backend_pid() AS pid, current_setting('default_transaction_read_only') AS read_only,
       current_setting('application_name') AS application
