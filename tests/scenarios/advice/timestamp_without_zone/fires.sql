CREATE TABLE event (id int PRIMARY KEY, at timestamp, "Until then" timestamp(3), day date);
