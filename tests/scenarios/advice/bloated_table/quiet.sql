CREATE TABLE event (id int PRIMARY KEY, body text, spare text) WITH (autovacuum_enabled = off, fillfactor = 40);
INSERT INTO event SELECT i, repeat('x', 400) FROM generate_series(1, 6000) i;
VACUUM (ANALYZE) event;
