CREATE SCHEMA api;
CREATE SCHEMA auth;
CREATE TABLE auth.users (id int PRIMARY KEY, phone text UNIQUE);
CREATE TABLE caller (id int PRIMARY KEY, phone text REFERENCES auth.users (phone));
