CREATE SCHEMA pgmq;
CREATE SCHEMA pgmq_public;
CREATE TABLE pgmq.q_guarded (msg_id bigint PRIMARY KEY, message jsonb);
GRANT SELECT ON pgmq.q_guarded TO anon;
ALTER TABLE pgmq.q_guarded ENABLE ROW LEVEL SECURITY;
CREATE TABLE pgmq.q_nobodys (msg_id bigint PRIMARY KEY, message jsonb);
CREATE TABLE pgmq.a_jobs (msg_id bigint PRIMARY KEY, message jsonb);
GRANT SELECT ON pgmq.a_jobs TO anon;
