CREATE SCHEMA pgmq;
CREATE SCHEMA pgmq_public;
CREATE TABLE pgmq.q_jobs (msg_id bigint PRIMARY KEY, message jsonb);
GRANT SELECT ON pgmq.q_jobs TO anon, authenticated;
