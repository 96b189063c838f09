-- A database with everything that a backup easily loses.
DO $$ BEGIN CREATE ROLE reader; CREATE ROLE "App Owner" CREATEROLE; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT reader TO "App Owner";
CREATE SCHEMA "Weird Schema";
CREATE TYPE "Mood" AS ENUM ('sad', 'it''s');
CREATE TABLE "User" (
  "select" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "Name" text UNIQUE CHECK (length("Name") < 100),
  mood "Mood" DEFAULT 'it''s',
  j jsonb, a text[], b bytea, f float8, n numeric, t timestamptz DEFAULT now(), i interval,
  twice text GENERATED ALWAYS AS ("Name" || "Name") STORED
);
INSERT INTO "User" ("Name", j, a, b, f, n, i)
SELECT 'n' || i, jsonb_build_object('k', i, 'π', null), ARRAY['a"b', NULL, i::text], decode(md5(i::text), 'hex'),
       random(), random()::numeric, make_interval(months => i)
FROM generate_series(1, 3000) i;
CREATE INDEX "ix by mood" ON "User" (mood, lower("Name")) WHERE mood IS NOT NULL;
CREATE TABLE "Weird Schema"."order" (id int PRIMARY KEY, "user" bigint REFERENCES "User" ON DELETE CASCADE);
INSERT INTO "Weird Schema"."order" SELECT i, i FROM generate_series(1, 100) i;
CREATE TABLE part (d date, x int) PARTITION BY RANGE (d);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE part_rest PARTITION OF part DEFAULT;
INSERT INTO part SELECT '2020-01-01'::date + i, i FROM generate_series(1, 700) i;
CREATE TABLE "100% empty" ();
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('1e10');
CREATE VIEW v AS SELECT "Name" FROM "User";
CREATE MATERIALIZED VIEW mv AS SELECT count(*) FROM "User";
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON "User" FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE "User" OWNER TO "App Owner";
GRANT SELECT ON part TO reader;
ALTER TABLE part ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON part TO reader USING (x > 3);
COMMENT ON TABLE part IS 'it''s';
SELECT lo_from_bytea(0, 'large object');
