CREATE TABLE job (id int PRIMARY KEY, does regproc, what regclass);
