CREATE TABLE account (id int PRIMARY KEY, email text);
INSERT INTO account VALUES (1, 'a'), (2, 'b');
CREATE UNIQUE INDEX CONCURRENTLY account_email ON account (email);
