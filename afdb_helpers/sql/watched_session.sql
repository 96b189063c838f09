-- What does this server process do, and for how many seconds has it done nothing?
SELECT state, wait_event_type, wait_event,
       CASE WHEN state LIKE 'idle%' THEN extract(epoch FROM clock_timestamp() - state_change)::float ELSE 0 END AS idle
FROM pg_stat_activity
WHERE pid = :pid
