"""The trail's new key by a shadow table, against this 002 in place and one transaction: what being safe costs.

    python benchmarks/shadow_table.py [--rows 1000000] [--writers 3]

The shadow table is a prototype, no choice: a trigger writes each new row into both, one INSERT … SELECT copies the
others in order, indexes are built, every value is compared, and a short transaction swaps. It applies inserts only, and
carries over no owner, grant, policy, comment, publication, trigger or view. Each way has a server of its own and the
same clients, as in `online_migration.py`, which says what is measured.
"""

from __future__ import annotations

import argparse
import os

import online_migration
import psycopg2

NEW = "event_type, user_id, tenant_id, resource_type, resource_id, action, success, {json}, created_at"
OLD, COLUMNS = NEW.format(json="metadata"), NEW.format(json="details")
BESIDE = f"""
CREATE TABLE audit_shadow (id serial, legacy_id varchar, event_type varchar NOT NULL, user_id varchar,
  tenant_id varchar, resource_type varchar, resource_id varchar, action varchar, success boolean, details json,
  created_at timestamp, ip_address varchar);
SELECT setval('audit_shadow_id_seq', 10000 + (SELECT count(*) FROM audit_logs));
CREATE FUNCTION audit_shadow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO audit_shadow (legacy_id, {COLUMNS})
  SELECT NEW.id, {", ".join(f"NEW.{name}" for name in OLD.split(", "))};
  RETURN NULL; END $$;
CREATE TRIGGER audit_shadow AFTER INSERT ON audit_logs FOR EACH ROW EXECUTE FUNCTION audit_shadow();
"""
STEPS = (
    f"""
INSERT INTO audit_shadow (id, legacy_id, {COLUMNS})
SELECT row_number() OVER (ORDER BY created_at, id COLLATE "C"), id, {OLD} FROM audit_logs a
WHERE NOT EXISTS (SELECT 1 FROM audit_shadow s WHERE s.legacy_id = a.id)
ORDER BY created_at, id COLLATE "C"
""",
    "CREATE UNIQUE INDEX CONCURRENTLY audit_shadow_pkey ON audit_shadow (id)",
    "CREATE INDEX CONCURRENTLY ix_audit_shadow_created_at ON audit_shadow (created_at)",
    "ALTER TABLE audit_shadow ADD FOREIGN KEY (user_id) REFERENCES users NOT VALID",
    "ALTER TABLE audit_shadow ADD FOREIGN KEY (tenant_id) REFERENCES tenants NOT VALID",
    "ALTER TABLE audit_shadow VALIDATE CONSTRAINT audit_shadow_user_id_fkey",
    "ALTER TABLE audit_shadow VALIDATE CONSTRAINT audit_shadow_tenant_id_fkey",
    "ALTER TABLE audit_shadow ADD CONSTRAINT filled CHECK (id IS NOT NULL) NOT VALID",
    "ALTER TABLE audit_shadow VALIDATE CONSTRAINT filled",
)
COMPARED = f"""
SELECT count(*) FROM audit_logs a LEFT JOIN audit_shadow s ON s.legacy_id = a.id
WHERE (a.id, {", ".join(f"a.{name}" for name in OLD.replace("metadata", "metadata::text").split(", "))})
  IS DISTINCT FROM
  (s.legacy_id, {", ".join(f"s.{name}" for name in COLUMNS.replace("details", "details::text").split(", "))})
"""
SWAP = """
LOCK TABLE agents, workflows, blueprints, executions, audit_logs, audit_shadow IN ACCESS EXCLUSIVE MODE;
ALTER TABLE agents RENAME user_id TO created_by;
ALTER TABLE workflows RENAME user_id TO created_by;
ALTER TABLE blueprints RENAME user_id TO created_by;
ALTER TABLE executions RENAME type TO execution_type;
ALTER TABLE executions RENAME entity_id TO resource_id;
ALTER TABLE executions RENAME result TO output_data;
ALTER TABLE executions RENAME user_id TO created_by;
ALTER TABLE audit_logs RENAME TO audit_before;
DROP TRIGGER audit_shadow ON audit_before;
ALTER TABLE audit_shadow RENAME TO audit_logs;
ALTER TABLE audit_logs ADD PRIMARY KEY USING INDEX audit_shadow_pkey;
"""


def shadow(url: str) -> None:
    """The prototype."""
    session = psycopg2.connect(url.replace("+psycopg2", ""))
    cursor = session.cursor()
    cursor.execute(BESIDE)
    session.commit()
    session.autocommit = True
    for step in STEPS:
        cursor.execute(step)
    cursor.execute(COMPARED)
    (differing,) = cursor.fetchone() or (0,)
    assert differing == 0, f"{differing} rows of the shadow table differ"
    cursor.execute(f"BEGIN; {SWAP} COMMIT")
    cursor.execute("DROP TABLE audit_before")
    session.close()


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rows", type=int, default=1_000_000)
    asked.add_argument("--writers", type=int, default=3)
    given = asked.parse_args()
    os.chdir(online_migration.ROOT)
    print("| Way | Took | Longest statement | Log written | Lost |")
    print("| --- | --- | --- | --- | --- |")
    ways = {"shadow table": shadow, "in place, this 002": online_migration.ours,
            "one transaction": online_migration.plain}  # fmt: skip
    for name, way in ways.items():
        r = online_migration.measure(given.rows, given.writers, way)
        print(
            f"| {name} | {r.seconds:.1f} s | {r.longest * 1000:,.0f} ms | {r.log / 1e6:,.0f} MB | {r.lost:,} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
