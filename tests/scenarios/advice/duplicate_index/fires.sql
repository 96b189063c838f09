CREATE TABLE account (id int PRIMARY KEY, email text UNIQUE, name text);
CREATE INDEX account_email ON account (email);
CREATE INDEX account_name_1 ON account (name);
CREATE INDEX account_name_2 ON account (name);
CREATE INDEX account_lower_1 ON account (lower(name)) WHERE name <> '';
CREATE INDEX account_lower_2 ON account (lower(name)) WHERE name <> '';
