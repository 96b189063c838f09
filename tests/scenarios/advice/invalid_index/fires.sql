-- As a CREATE INDEX CONCURRENTLY leaves it that failed, and REINDEX CONCURRENTLY.
CREATE TABLE account (id int PRIMARY KEY, email text);
CREATE UNIQUE INDEX account_email ON account (email);
CREATE INDEX account_id_ccnew ON account (id);
UPDATE pg_index SET indisvalid = false WHERE indexrelid IN ('account_email'::regclass, 'account_id_ccnew'::regclass);
