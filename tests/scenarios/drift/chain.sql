-- What the chain makes in these stories: something of each kind, with names that need care.
CREATE ROLE drift_reader;
CREATE ROLE "drift Writer";
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE colour AS ENUM ('red', 'green', 'blue');
CREATE DOMAIN positive AS integer CHECK (value > 0);
CREATE TYPE pair AS (a integer, "B" text);
CREATE SEQUENCE counter INCREMENT BY 2;
CREATE SCHEMA sales;
CREATE TABLE customer (
  id serial PRIMARY KEY, title varchar(40) NOT NULL, balance numeric(12,4) DEFAULT 0 CHECK (balance > -100),
  note text, mood mood DEFAULT 'sad', twice numeric GENERATED ALWAYS AS (balance * 2) STORED
);
CREATE INDEX customer_name ON customer (title);
CREATE TABLE sales.invoice (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id integer NOT NULL REFERENCES customer,
  total numeric(12,4), "When" timestamptz DEFAULT now(), UNIQUE (customer_id, "When")
);
CREATE TABLE plain (i integer);
CREATE TABLE event (at date, what text) PARTITION BY RANGE (at);
CREATE TABLE event_2026 PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX event_what ON event (what);
CREATE VIEW rich AS SELECT id, title FROM customer WHERE balance > 1;
CREATE MATERIALIZED VIEW totals AS SELECT customer_id, count(*) FROM sales.invoice GROUP BY 1;
CREATE UNIQUE INDEX totals_by ON totals (customer_id);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION one(a integer) RETURNS integer LANGUAGE sql AS 'SELECT a';
CREATE PROCEDURE work() LANGUAGE sql AS 'SELECT 1';
CREATE TRIGGER touched BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE quiet AS ON DELETE TO sales.invoice WHERE false DO INSTEAD NOTHING;
ALTER TABLE customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON customer FOR SELECT TO drift_reader USING (id > 0);
GRANT SELECT ON customer TO drift_reader;
GRANT SELECT ("When") ON sales.invoice TO drift_reader;
GRANT USAGE ON SEQUENCE customer_id_seq TO "drift Writer";
COMMENT ON TABLE customer IS 'it''s whom we sell to';
COMMENT ON COLUMN customer.note IS 'what was said';
CREATE PROCEDURE give_all(role text) LANGUAGE plpgsql AS $$ DECLARE it text; BEGIN
  FOR it IN SELECT 'TABLE ' || oid::regclass FROM pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384
      UNION ALL SELECT unnest(ARRAY['SEQUENCE counter', 'VIEW rich', 'MATERIALIZED VIEW totals', 'SCHEMA sales'])
      UNION ALL SELECT CASE prokind WHEN 'p' THEN 'PROCEDURE ' ELSE 'FUNCTION ' END || oid::regprocedure FROM pg_proc WHERE oid >= 16384
      UNION ALL SELECT 'TYPE ' || oid::regtype FROM pg_type WHERE typname IN ('mood', 'colour', 'positive', 'pair')
  LOOP EXECUTE format('ALTER %s OWNER TO %I', it, role); END LOOP; END $$;
