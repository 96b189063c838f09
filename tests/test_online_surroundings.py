"""What stands around the tables when 002 begins: refused by name before anything changes, or carried along."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chain
import crashes
import psycopg2
import pytest
import sqlalchemy as sa
from alembic.util import CommandError
from chain import Maker

from afdb_helpers import embedded_postgres
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.online import revise, surroundings

FORCED = "ALTER TABLE agents ENABLE ROW LEVEL SECURITY; ALTER TABLE agents FORCE ROW LEVEL SECURITY"
NOTE = """CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
 $$ BEGIN NEW.metadata := NEW.metadata; RETURN NEW; END $$;
 CREATE TRIGGER note BEFORE INSERT ON audit_logs FOR EACH ROW EXECUTE FUNCTION note()"""
ADDRESSES = "CREATE VIEW addresses AS SELECT ip_address FROM audit_logs"


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return Maker(request, tmp_path)


@pytest.fixture(scope="module")
def preparing() -> Iterator[Server]:
    with embedded_postgres.start(settings={"max_prepared_transactions": "2"}) as server:
        yield server


@contextlib.contextmanager
def session(url: str) -> Iterator[Any]:
    with contextlib.closing(psycopg2.connect(**crashes.dsn(url), application_name="nightly report")) as made:
        made.autocommit = True
        yield made.cursor()


def refused(url: str, work: Any, match: str) -> None:
    """It is refused, and nothing was changed."""
    known = chain.rows(url), chain.catalogue(url), chain.stamped(url)
    with pytest.raises(CommandError, match="nothing was changed") as said:
        work(url)
    assert match in str(said.value)
    assert (chain.rows(url), chain.catalogue(url), chain.stamped(url)) == known


@pytest.mark.parametrize("command", ["upgrade", "downgrade"])
def test_a7_an_old_transaction_is_refused_before_anything_begins(
    command: str, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, work = make("postgresql 18", "at_001"), getattr(chain, command)
    if command == "downgrade":
        chain.upgrade(url)
    with session(url) as other:
        other.execute("BEGIN; SELECT pg_sleep(0.1)")
        monkeypatch.setenv(surroundings.OLDEST, "0")
        refused(url, work, "role postgres (nightly report, idle in transaction), open for")
        other.execute("ROLLBACK; BEGIN; SELECT 1")
        monkeypatch.delenv(surroundings.OLDEST)  # the control: a young one is no reason
        work(url)
        other.execute("ROLLBACK")


def test_a7_a_prepared_transaction_is_refused(preparing: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url = preparing.create_database("prepared")
    chain.execute(url, *chain.parts("at_001", "postgresql"))
    with session(url) as other:
        other.execute("BEGIN; INSERT INTO tenants (id, name, slug) VALUES ('p', 'p', 'p'); PREPARE TRANSACTION 'half'")
        refused(url, chain.upgrade, "prepared transaction: half of role postgres")
        monkeypatch.setattr(surroundings, "refuse_surroundings", lambda *_, **__: None)
        monkeypatch.setattr(revise, "refuse_surroundings", lambda *_, **__: None)
        monkeypatch.setenv("AFDB_LOCK_BUDGET", "1")
        with pytest.raises(CommandError, match="what is done so far harms nothing"):  # the control
            chain.upgrade(url)
        other.execute("COMMIT PREPARED 'half'")
    monkeypatch.undo()
    chain.upgrade(url)
    assert "p" in chain.rows(url)["tenants"]


def test_a7_a_slot_that_is_far_behind_is_refused(preparing: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url = preparing.create_database("slots")
    with session(url) as other:
        other.execute("SELECT pg_create_physical_replication_slot('standby', true)")
        try:
            chain.execute(url, *chain.parts("at_001", "postgresql"))
            monkeypatch.setenv(surroundings.SLOT_LAG, "0.001")
            refused(url, chain.upgrade, "replication slot: standby (inactive) keeps")
            monkeypatch.delenv(surroundings.SLOT_LAG)  # the control: within the limit it is no reason
            chain.upgrade(url)
        finally:
            other.execute("SELECT pg_drop_replication_slot('standby')")


@pytest.mark.parametrize(
    ("statement", "revision", "why"),
    [
        (
            "ALTER TABLE audit_logs REPLICA IDENTITY USING INDEX audit_logs_pkey",
            "001",
            "index audit_logs_pkey is the replica identity of audit_logs",
        ),
        (
            "CREATE VIEW by_key AS SELECT id, action FROM audit_logs GROUP BY id",
            "001",
            "view by_key depends on audit_logs, of which its primary key goes",
        ),
        (
            "CREATE PUBLICATION partly FOR TABLE audit_logs (id, action)",
            "001",
            "publication partly names columns or rows of audit_logs, whose new key they do not cover",
        ),
        (NOTE, "001", "function note() seems to use metadata of audit_logs"),
        (
            "CREATE FUNCTION mine(text) RETURNS bigint LANGUAGE sql"
            " AS 'SELECT count(*) FROM agents WHERE user_id = $1'",
            "001",
            "function mine(text) seems to use user_id of agents",
        ),
        (ADDRESSES, "002", "view addresses depends on audit_logs, of which"),
        (
            "CREATE MATERIALIZED VIEW prices AS SELECT price_monthly FROM plans",
            "002",
            "materialized view prices depends on plans, of which it goes",
        ),
        (
            "CREATE TABLE notes (id INTEGER, log INTEGER REFERENCES audit_logs (id))",
            "002",
            "constraint notes_log_fkey on table notes depends on audit_logs",
        ),
        (
            "CREATE POLICY here ON audit_logs USING (ip_address IS NULL)",
            "002",
            "policy here on table audit_logs depends on audit_logs",
        ),
    ],
)
def test_what_cannot_be_carried_is_refused_by_name(
    statement: str, revision: str, why: str, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, work = make("postgresql 18", "at_001"), chain.upgrade if revision == "001" else chain.downgrade
    if revision == "002":
        chain.upgrade(url)
    chain.execute(url, statement)
    refused(url, work, why)
    monkeypatch.setattr(revise, "refuse_surroundings", lambda *_, **__: None)  # the control: what would have happened
    try:
        work(url)
    except (CommandError, sa.exc.DBAPIError):
        assert chain.stamped(url) == (revision,), "it fails in the middle, when all is prepared"
        return
    broken = {
        "publication partly": "DELETE FROM audit_logs",
        "note()": "INSERT INTO audit_logs (event_type) VALUES ('after')",
        "mine(text)": "SELECT mine('u1')",
    }
    for name, sql in broken.items():
        if name in why:
            with pytest.raises(sa.exc.DBAPIError):
                chain.execute(url, sql)
            return
    with chain.connected(url) as connection:  # subscribers could not tell rows apart
        asked = "SELECT count(*) FROM pg_index WHERE indisreplident AND indrelid = 'audit_logs'::regclass"
        assert connection.exec_driver_sql(asked).scalar_one() == 0


def test_a_function_that_is_known_to_work_is_let_pass_by_name(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    url = make("postgresql 18", "at_001")
    chain.execute(url, NOTE.replace("NEW.metadata := NEW.metadata;", "/* metadata is details afterwards */"))
    monkeypatch.setenv(surroundings.FOLLOW, "other(); note()")
    chain.upgrade(url)
    chain.execute(url, "INSERT INTO audit_logs (event_type) VALUES ('after')")


def test_rows_that_a_policy_hides_from_the_migrating_role_are_refused(make: Maker) -> None:
    url = make("postgresql 18", "at_001")
    chain.execute(url, "DROP ROLE IF EXISTS plain_owner", "CREATE ROLE plain_owner LOGIN")
    try:
        for name in chain.rows(url):
            chain.execute(url, f"ALTER TABLE {name} OWNER TO plain_owner")
        chain.execute(
            url, "ALTER TABLE alembic_version OWNER TO plain_owner", "GRANT ALL ON SCHEMA public TO plain_owner"
        )
        chain.execute(url, FORCED)
        theirs = sa.make_url(url).set(username="plain_owner").render_as_string(hide_password=False)
        with chain.connected(theirs) as connection:  # the control: they are hidden
            assert connection.exec_driver_sql("SELECT count(*) FROM agents").scalar_one() == 0
        with pytest.raises(CommandError, match="row level security of agents may hide rows"):
            chain.upgrade(theirs)
        assert chain.stamped(url) == ("001",)
        chain.execute(url, "ALTER TABLE agents NO FORCE ROW LEVEL SECURITY")
        chain.upgrade(theirs)
        assert len(chain.rows(url)["agents"]) == 2
    finally:
        chain.execute(
            url, "REASSIGN OWNED BY plain_owner TO postgres", "DROP OWNED BY plain_owner", "DROP ROLE plain_owner"
        )


def test_what_the_server_knows_to_depend_on_a_renamed_column_follows_it(make: Maker) -> None:
    url = make("postgresql 18", "at_001")
    chain.execute(
        url,
        "CREATE MATERIALIZED VIEW said AS SELECT id, metadata::text AS words FROM audit_logs",
        "CREATE FUNCTION words() RETURNS text LANGUAGE sql"
        " BEGIN ATOMIC SELECT max(metadata::text) FROM audit_logs; END",
        "CREATE TABLE heard (n INTEGER)",
        "CREATE RULE told AS ON INSERT TO agents WHERE NEW.user_id = 'u2' DO ALSO INSERT INTO heard VALUES (1)",
        "CREATE POLICY own ON workflows USING (user_id = CURRENT_USER)",
        "ALTER TABLE blueprints ADD CONSTRAINT known CHECK (user_id <> 'nobody')",
        "CREATE INDEX mine ON executions (user_id) WHERE result IS NOT NULL",
    )
    asked = "SELECT (SELECT count(*) FROM said), words(), (SELECT string_agg(words, '|' ORDER BY id) FROM said)"
    with chain.connected(url) as connection:
        known = connection.exec_driver_sql(asked).one()
    chain.upgrade(url)
    chain.execute(url, "REFRESH MATERIALIZED VIEW said")
    chain.execute(url, "INSERT INTO agents (id, name, instructions, created_by) VALUES ('new', 'n', 'i', 'u2')")
    with chain.connected(url) as connection:
        assert connection.exec_driver_sql(asked).one() == known
        assert connection.exec_driver_sql("SELECT count(*) FROM heard").scalar_one() == 1
        with pytest.raises(sa.exc.IntegrityError, match="known"):
            connection.exec_driver_sql("UPDATE blueprints SET created_by = 'nobody'")
    chain.downgrade(url)
    with chain.connected(url) as connection:
        assert connection.exec_driver_sql(asked).one() == known


ATTACHED = """
SELECT c.relowner::regrole::text, c.relacl::text, c.relrowsecurity, c.relforcerowsecurity, c.relreplident,
       c.reloptions::text, obj_description(c.oid, 'pg_class'), c.relpersistence,
       (SELECT json_agg(json_build_array(a.attnum, a.attacl::text, a.attstattarget, a.attoptions, a.attstorage,
                        a.attcompression, col_description(c.oid, a.attnum)) ORDER BY a.attnum)::text
        FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attnum <= 10),
       (SELECT json_agg(json_build_array(polname, polcmd, polroles::regrole[]::text, polpermissive)
                        ORDER BY polname)::text FROM pg_policy WHERE polrelid = c.oid),
       (SELECT json_agg(json_build_array(tgname, tgenabled, tgtype, obj_description(t.oid, 'pg_trigger'))
                        ORDER BY tgname)::text FROM pg_trigger t WHERE tgrelid = c.oid AND NOT tgisinternal),
       (SELECT json_agg(json_build_array(pubname, pubinsert, pubupdate) ORDER BY pubname)::text
        FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = c.oid),
       (SELECT json_agg(json_build_array(stxname, stxkeys::text, stxkind::text) ORDER BY stxname)::text
        FROM pg_statistic_ext WHERE stxrelid = c.oid),
       (SELECT json_agg(json_build_array(conname, obj_description(oid, 'pg_constraint')) ORDER BY conname)::text
        FROM pg_constraint WHERE conrelid = c.oid AND contype = 'c'),
       (SELECT string_agg(indexrelid::regclass::text, ',') FROM pg_index
        WHERE indrelid = c.oid AND indexrelid::regclass::text LIKE 'mine%')
FROM pg_class c WHERE c.oid = 'audit_logs'::regclass"""


def test_whatever_the_table_had_before_it_has_after_and_after_the_way_back(make: Maker) -> None:
    url = make("postgresql 18", "at_001")
    chain.execute(url, (chain.STATES / "attached.postgresql.sql").read_text())
    chain.execute(url, "DROP ROLE IF EXISTS keeper", "CREATE ROLE keeper LOGIN")
    chain.execute(
        url,
        "ALTER TABLE audit_logs OWNER TO keeper",
        "ALTER TABLE audit_logs FORCE ROW LEVEL SECURITY",
        "GRANT UPDATE (action, metadata) ON audit_logs TO auditor WITH GRANT OPTION",
        "ALTER TABLE audit_logs REPLICA IDENTITY FULL",
        "ALTER TABLE audit_logs SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.01)",
        "ALTER TABLE audit_logs ALTER metadata SET STATISTICS 500, ALTER id SET STATISTICS 300",
        "ALTER TABLE audit_logs ALTER user_id SET (n_distinct = 480)",
        "ALTER TABLE audit_logs ALTER metadata SET STORAGE EXTERNAL",
        "CREATE STATISTICS together (dependencies) ON user_id, tenant_id FROM audit_logs",
        "ALTER TABLE audit_logs ADD CONSTRAINT said CHECK (event_type <> '')",
        "COMMENT ON CONSTRAINT said ON audit_logs IS 'said'",
        "COMMENT ON TRIGGER always ON audit_logs IS 'always'",
        "CREATE INDEX mine ON audit_logs (lower(action)) WHERE success",
    )
    try:
        with chain.connected(url) as connection:
            known = connection.exec_driver_sql(ATTACHED, execution_options={"no_parameters": True}).one()
            assert all(value not in (None, False) for value in known), "the control: each of them is there to be lost"
        for work in (chain.upgrade, chain.downgrade):
            work(url)
            with chain.connected(url) as connection:
                now = connection.exec_driver_sql(ATTACHED, execution_options={"no_parameters": True}).one()
                assert dict(now._mapping) == dict(known._mapping)
    finally:
        chain.execute(url, "REASSIGN OWNED BY keeper TO postgres", "DROP OWNED BY keeper", "DROP ROLE keeper")


def test_a_limit_that_is_no_number_is_said(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(surroundings.OLDEST, "soon")
    with pytest.raises(CommandError, match="AFDB_OLDEST_TRANSACTION is 'soon'"):
        chain.upgrade(make("postgresql 18", "at_001"))
