CREATE TABLE account (id int PRIMARY KEY, email text UNIQUE, name text);
CREATE INDEX account_name_1 ON account (name);
CREATE INDEX account_name_2 ON account (name DESC);
CREATE INDEX account_name_3 ON account (name text_pattern_ops);
CREATE INDEX account_name_4 ON account (name) WHERE name <> '';
CREATE INDEX account_name_5 ON account USING hash (name);
CREATE INDEX account_name_6 ON account (name) INCLUDE (email);
