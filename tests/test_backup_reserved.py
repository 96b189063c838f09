"""What a provider keeps in the user's database is left out by name, and what hangs on it is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url
from test_backup import resealed, session, target_of

from afdb_helpers import backup
from afdb_helpers.backup import reserved, store
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import Refused

PROJECT = """
CREATE SCHEMA auth; CREATE SCHEMA vault; CREATE SCHEMA "authors";
CREATE TABLE auth.users (id int PRIMARY KEY, email text);
INSERT INTO auth.users VALUES (1, 'a@example.com'), (2, 'b@example.com');
CREATE FUNCTION auth.uid() RETURNS int LANGUAGE sql STABLE AS $$ SELECT 1 $$;
CREATE TABLE vault.secrets (id int, secret text);
CREATE TABLE "authors".books (storage text);
CREATE TABLE profiles (id int PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE, auth text);
INSERT INTO profiles VALUES (1, 'x'), (2, 'y');
CREATE TABLE notes (id int REFERENCES profiles);
ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON profiles USING (id = auth.uid());
CREATE FUNCTION new_user() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER arrived AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION new_user();
"""
ROLES = ("anon", "authenticated", "service_role")


@pytest.fixture
def project(postgres: Server, new_database: Callable[..., str]) -> Iterator[str]:
    """A database as Supabase gives one, made small; its roles are gone afterwards."""
    url = new_database("project")
    with session(postgres.url("postgres")) as cursor:
        cursor.execute("; ".join(f"CREATE ROLE {role}" for role in ROLES))
    with session(url) as cursor:
        cursor.execute(PROJECT)
    yield url
    with session(postgres.url("postgres")) as cursor:
        cursor.execute("; ".join(f"DROP ROLE IF EXISTS {role}" for role in ROLES))


def test_a_providers_schemas_are_left_out_by_name_and_the_rest_is_proven_and_restored(
    project: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    made = backup.dump(target_of(project), store=tmp_path)
    said = {(row["kind"], row["name"]) for row in made.manifest["excluded"]}
    assert said == {
        ("schema", "auth"), ("schema", "vault"), ("foreign key", "profiles_id_fkey of profiles"),
        ("trigger", "arrived on auth.users"),
    }  # fmt: skip
    assert all(row["why"] for row in made.manifest["excluded"])
    assert {row["table"] for row in made.rows} == {"profiles", "notes", "authors.books"}
    assert b"example.com" not in b"".join(path.read_bytes() for path in made.path.rglob("*") if path.is_file())
    assert backup.prove(made).ok
    with backup.open_copy(made) as copy, session(copy.url) as cursor:
        cursor.execute("SELECT conname FROM pg_constraint WHERE contype = 'f'")
        assert cursor.fetchall() == [("notes_id_fkey",)]
        cursor.execute("SELECT polname, (SELECT count(*) FROM auth.users) FROM pg_policy")
        assert cursor.fetchall() == [("own", 0)]  # stood in for, without a row
    kept, bare, new = store.read(made.path), new_database(), new_database()
    with pytest.raises(Refused, match="cannot be restored into target") as caught:
        backup.restore(kept, target_of(bare))
    assert "auth, vault" in caught.value.why
    with session(new) as cursor:  # a new project: the provider's are there, and are no reason to call it not empty
        cursor.execute(PROJECT.split("CREATE TABLE vault", maxsplit=1)[0].replace('CREATE SCHEMA "authors";', ""))
    assert backup.restore(kept, target_of(new)).ok
    with session(new) as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM profiles), (SELECT count(*) FROM auth.users)")
        assert cursor.fetchall() == [(2, 2)]


def test_what_is_left_out_would_be_missed_if_it_were_not_said(project: str, tmp_path: Path) -> None:
    """The control: the same archive with a manifest that says nothing is left out is not proven."""
    made = backup.dump(target_of(project), store=tmp_path)
    assert not backup.prove(resealed(made, excluded=[])).ok


def test_a_schema_called_auth_is_the_users_own_where_the_providers_roles_are_not(database: str, tmp_path: Path) -> None:
    with session(database) as cursor:
        cursor.execute(PROJECT)
    with target_of(database).connect() as connection:
        assert reserved.found(connection) == []
    made = backup.dump(target_of(database), store=tmp_path)
    assert made.manifest["excluded"] == []
    assert "auth.users" in {row["table"] for row in made.rows}


def test_stand_ins_that_cannot_be_made_are_said_and_without_them_nothing_is_proven(
    project: str, tmp_path: Path
) -> None:
    with session(project) as cursor:
        cursor.execute("CREATE ROLE plain LOGIN BYPASSRLS; GRANT SELECT ON profiles, notes TO plain")
        cursor.execute("GRANT USAGE ON SCHEMA authors TO plain; GRANT SELECT ON authors.books TO plain")
        try:
            plain = make_url(project).set(username="plain").render_as_string()
            made = backup.dump(target_of(plain), store=tmp_path)
        finally:
            cursor.execute("DROP OWNED BY plain; DROP ROLE plain")
    (said,) = [one for one in made.manifest["not_covered"] if one.startswith(reserved.STAND_INS)]
    assert "permission denied" in said
    proof = backup.prove(made)
    assert not proof.ok
    assert 'schema "auth"' in str(proof.rows)
