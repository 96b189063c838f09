CREATE TABLE event (id int PRIMARY KEY, body text) WITH (autovacuum_enabled = off);
INSERT INTO event SELECT i, repeat('x', 100) FROM generate_series(1, 2000) i;
ANALYZE event;
CREATE TABLE empty (id int PRIMARY KEY);
CREATE TABLE tiny (id int PRIMARY KEY);
INSERT INTO tiny VALUES (1);
