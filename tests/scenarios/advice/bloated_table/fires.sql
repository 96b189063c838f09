CREATE TABLE event (id int PRIMARY KEY, body text) WITH (autovacuum_enabled = off);
INSERT INTO event SELECT i, repeat('x', 400) FROM generate_series(1, 6000) i;
DELETE FROM event WHERE id % 5 <> 0;
VACUUM (ANALYZE) event;
