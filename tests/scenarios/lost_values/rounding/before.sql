CREATE TABLE invoice (id integer PRIMARY KEY, amount numeric(12,4));
INSERT INTO invoice VALUES (1, 1.2345), (2, 2.5), (3, 7.0001);
