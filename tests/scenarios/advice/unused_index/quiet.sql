-- One was used, and of one nobody has read the table.
CREATE TABLE account (id int PRIMARY KEY, email text UNIQUE, name text);
CREATE INDEX account_name ON account (name);
INSERT INTO account SELECT i, i, i FROM generate_series(1, 1000) i;
ANALYZE account;
DO $$ BEGIN FOR i IN 1..100 LOOP PERFORM id FROM account WHERE name = '7'; END LOOP; END $$;
CREATE TABLE unread (id int PRIMARY KEY, name text);
CREATE INDEX unread_name ON unread (name);
SELECT pg_stat_force_next_flush();
