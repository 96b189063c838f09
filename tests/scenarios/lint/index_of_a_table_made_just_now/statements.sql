CREATE TABLE made (id bigint PRIMARY KEY, name text);
CREATE INDEX ix ON made (name);
