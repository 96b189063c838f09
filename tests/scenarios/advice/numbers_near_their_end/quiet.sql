CREATE TABLE young (id serial PRIMARY KEY);
SELECT setval('young_id_seq', 1000000);
CREATE TABLE wide (id bigserial PRIMARY KEY);
SELECT setval('wide_id_seq', 2100000000);
CREATE TABLE never (id serial PRIMARY KEY);
CREATE TABLE turns (id int PRIMARY KEY);
CREATE SEQUENCE turns_seq AS smallint CYCLE OWNED BY turns.id;
SELECT setval('turns_seq', 32000);
