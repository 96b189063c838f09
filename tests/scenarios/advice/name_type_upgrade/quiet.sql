CREATE TABLE job (id int PRIMARY KEY, does text, what regclass, who regrole);
