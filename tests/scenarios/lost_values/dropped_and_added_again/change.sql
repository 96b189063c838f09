ALTER TABLE customer DROP name;
ALTER TABLE customer ADD name varchar(40) DEFAULT 'none';
