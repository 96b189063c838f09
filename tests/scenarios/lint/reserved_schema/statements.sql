ALTER TABLE auth.users ADD COLUMN x text;
CREATE TRIGGER t AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.f();
GRANT SELECT ON ALL TABLES IN SCHEMA storage TO app;
CREATE OR REPLACE FUNCTION "realtime".f() RETURNS int LANGUAGE sql AS 'SELECT 1';
UPDATE pg_catalog.pg_class SET relname = 'x' WHERE false;
ALTER ROLE authenticator SET statement_timeout = 0;
DO $$ BEGIN EXECUTE 'CREATE POLICY p ON storage.objects USING (true)'; END $$;
