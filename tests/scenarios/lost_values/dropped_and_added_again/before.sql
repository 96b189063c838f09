CREATE TABLE customer (id integer PRIMARY KEY, name varchar(40) DEFAULT 'none');
INSERT INTO customer VALUES (1, 'Ada'), (2, 'none'), (3, 'Grace');
