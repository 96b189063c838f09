CREATE TABLE account (id int PRIMARY KEY, email text UNIQUE, name text);
CREATE INDEX account_name ON account (name);
INSERT INTO account SELECT i, i, i FROM generate_series(1, 1000) i;
DO $$ BEGIN FOR i IN 1..100 LOOP PERFORM name FROM account WHERE id = 1; END LOOP; END $$;
SELECT pg_stat_force_next_flush();
