-- What people attach to an audit trail: an append-only trigger, a view, rights, a policy, comments, a publication.
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'append only'; END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_logs FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER off_already BEFORE UPDATE ON audit_logs FOR EACH ROW EXECUTE FUNCTION append_only();
ALTER TABLE audit_logs DISABLE TRIGGER off_already;
CREATE TRIGGER always BEFORE UPDATE ON audit_logs FOR EACH ROW EXECUTE FUNCTION append_only();
ALTER TABLE audit_logs ENABLE ALWAYS TRIGGER always;
CREATE VIEW seen AS SELECT l.id, a.user_id AS maker, l.metadata::text AS details FROM audit_logs l LEFT JOIN agents a ON a.id = l.resource_id;
DO $$ BEGIN CREATE ROLE auditor; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT SELECT ON audit_logs TO auditor;
GRANT SELECT (event_type) ON audit_logs TO PUBLIC;
ALTER TABLE audit_logs ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON audit_logs FOR SELECT USING (user_id = CURRENT_USER);
COMMENT ON TABLE audit_logs IS 'the trail';
COMMENT ON COLUMN audit_logs.metadata IS 'what was said';
CREATE PUBLICATION trail FOR TABLE agents, audit_logs WITH (publish = 'insert');
