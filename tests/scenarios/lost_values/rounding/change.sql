ALTER TABLE invoice ALTER amount TYPE numeric(12,2);
