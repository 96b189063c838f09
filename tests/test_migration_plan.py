"""The plan: what will be done to which database, and a digest that is another as soon as anything of it is."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import projects
import pytest
import sqlalchemy as sa

from afdb_helpers import lint, migration_plan, pages, revisions, targets
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.migration_plan import MigrationPlan, offline, schema
from afdb_helpers.revisions import Graph

pytestmark = pytest.mark.xdist_group("migration_plan")  # what they share is made once

FIRST, SECOND = projects.FIRST, projects.SECOND


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return projects.small(tmp_path_factory.mktemp("plan")).graph()


@pytest.fixture(scope="module")
def at_first(graph: Graph, postgres: Server) -> Iterator[str]:
    """The name of a database at the first revision, to copy."""
    ini = graph.revisions[0].path.parents[2] / "alembic.ini"
    url = postgres.create_database("plan_first")
    assert revisions.run(ini, {"command": "upgrade", "arguments": [FIRST], "url": url}).error is None
    yield "plan_first"
    postgres.drop_database("plan_first")


def _make(url: str, graph: Graph, revision: str = "head", **options: Any) -> MigrationPlan:
    with targets.parse("x", url, {}).connect() as connection:
        return migration_plan.make(connection, graph, revision, **options)


def _run(url: str, statement: str) -> None:
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql(statement)


def test_an_empty_database_has_the_whole_chain_before_it(database: str, graph: Graph) -> None:
    plan = _make(database, graph)
    assert [step["id"] for step in plan.content["revisions"]] == [FIRST, SECOND]
    assert plan.headline == f"from nothing stamped to {SECOND}"
    assert [row["what"] for row in plan.rows] == ["customers and invoices", "a name is a title"]
    assert not plan.empty
    assert not plan.rehearsed
    assert plan.parts[0].headline == f"not rehearsed; digest {plan.digest}"


def test_what_is_done_is_not_planned_again(at_first: str, graph: Graph, new_database: Callable[..., str]) -> None:
    url = new_database(template=at_first)
    assert [step["id"] for step in _make(url, graph).content["revisions"]] == [SECOND]
    assert _make(url, graph, FIRST).empty
    assert _make(url, graph, FIRST).headline == f"at {FIRST}: nothing to do"


def test_the_way_down_is_planned_newest_first(at_first: str, graph: Graph, new_database: Callable[..., str]) -> None:
    url = new_database(template=at_first)
    _run(url, f"UPDATE alembic_version SET version_num = '{SECOND}'")
    plan = _make(url, graph, "base", direction="downgrade")
    assert [step["id"] for step in plan.content["revisions"]] == [SECOND, FIRST]
    assert plan.content["to"] == "base"


@pytest.mark.parametrize(("revision", "direction", "instead"), [
    ("base", "upgrade", "afdb downgrade base"), (SECOND, "downgrade", f"afdb upgrade {SECOND}"),
])  # fmt: skip
def test_the_wrong_direction_is_refused_with_the_right_one(
    revision: str, direction: str, instead: str, at_first: str, graph: Graph, new_database: Callable[..., str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        _make(new_database(template=at_first), graph, revision, direction=direction)
    assert caught.value.do == instead
    assert FIRST in caught.value.why


def test_a_beginning_of_an_id_is_enough_and_an_unknown_one_is_refused(database: str, graph: Graph) -> None:
    assert _make(database, graph, FIRST[:4]).content["to"] == FIRST
    with pytest.raises(ConfigError, match="'nope' is unknown"):
        _make(database, graph, "nope")


def test_a14_two_heads_are_refused_before_the_database_is_asked(database: str, graph: Graph) -> None:
    with pytest.raises(Refused, match="2 heads: a, b") as caught:
        _make(database, replace(graph, heads=("a", "b")))
    assert caught.value.do == "merge them: alembic merge -m merge a b"


def test_a14_a_database_of_another_version_of_the_project_is_refused(
    at_first: str, graph: Graph, new_database: Callable[..., str]
) -> None:
    url = new_database(template=at_first)
    _run(url, "UPDATE alembic_version SET version_num = 'later'")
    with pytest.raises(Refused, match="stamped later, a revision that this project does not have"):
        _make(url, graph)


# --- the digest


def test_the_digest_is_the_same_every_time_and_survives_json(database: str, graph: Graph) -> None:
    plan = _make(database, graph)
    assert _make(database, graph).digest == plan.digest
    kept = json.loads(json.dumps(plan.as_dict(), sort_keys=True))
    assert kept["digest"] == plan.digest
    assert migration_plan.from_content(kept["content"]).digest == plan.digest
    assert plan.digest.startswith("sha256:")
    assert len(plan.digest) == 71


def test_another_database_of_the_same_content_has_another_digest(
    graph: Graph, new_database: Callable[..., str]
) -> None:
    one, other = _make(new_database(), graph), _make(new_database(), graph)
    assert one.digest != other.digest
    assert {**one.content, "target": None} == {**other.content, "target": None}


def test_a_changed_schema_has_another_digest(database: str, graph: Graph) -> None:
    before = _make(database, graph).digest
    _run(database, "CREATE TABLE stray (i int)")
    assert _make(database, graph).digest != before


def test_rows_do_not_change_the_digest(at_first: str, graph: Graph, new_database: Callable[..., str]) -> None:
    url = new_database(template=at_first)
    before = _make(url, graph).digest
    _run(url, "INSERT INTO customer VALUES (1, 'x')")
    assert _make(url, graph).digest == before


def test_an_edited_revision_has_another_digest(database: str, graph: Graph) -> None:
    edited = replace(graph.revisions[1], sha256="0" * 64)
    assert (
        _make(database, graph).digest != _make(database, replace(graph, revisions=(graph.revisions[0], edited))).digest
    )


def test_sql_revision_and_direction_are_part_of_the_digest(database: str, graph: Graph) -> None:
    plans = [_make(database, graph), _make(database, graph, FIRST), _make(database, graph, sql=["SELECT 1"]),
             _make(database, graph, sql=["SELECT 2"])]  # fmt: skip
    assert len({plan.digest for plan in plans}) == 4


def test_a_plan_that_throws_data_away_says_so_and_a_rehearsal_without_is_no_evidence_for_it(
    at_first: str, graph: Graph, new_database: Callable[..., str]
) -> None:
    url, down = new_database(template=at_first), {"direction": "downgrade"}
    kept = _make(url, graph, "base", sql=["DROP TABLE customer"], **down)
    lossy = _make(url, graph, "base", drop_data=True, rehearsed=kept.as_dict(), **down)
    assert "what base cannot hold is THROWN AWAY" in lossy.headline
    assert "THROWN" not in kept.headline
    assert not lossy.rehearsed, "the rehearsal refused to lose anything, or had nothing to lose"
    seen = {"content": {**lossy.content, "sql": ["DROP TABLE customer"]}}
    assert not _make(url, graph, "base", rehearsed=seen, **down).rehearsed
    assert _make(url, graph, "base", drop_data=True, rehearsed=seen, **down).rehearsed, "the control"
    named = lossy.losing({"customer": 3, "invoice.note": 2})
    assert named.digest == lossy.digest
    assert named.parts[-1].rows[0] == {"thrown away": "customer", "rows or values": 3}
    assert kept.losing({"customer": 3}) == kept
    assert "drop_data" not in _make(url, graph, SECOND, drop_data=True).content, "on the way up nothing is lost"


def test_two_docs_and_one_content_have_one_digest(database: str, graph: Graph) -> None:
    plan = _make(database, graph)
    assert migration_plan.from_content(plan.content, {FIRST: "said otherwise"}).digest == plan.digest


# --- what a rehearsal has shown


def test_a_rehearsals_sql_is_taken_over_where_all_the_rest_is_as_it_was(database: str, graph: Graph) -> None:
    rehearsed = _make(database, graph, sql=["CREATE TABLE t ()"])
    again = _make(database, graph, rehearsed=rehearsed.as_dict())
    assert again.digest == rehearsed.digest
    assert again.rehearsed
    assert again.parts[0].headline.startswith("1 different statement seen in rehearsal")


def test_a_rehearsal_of_something_else_is_not(database: str, graph: Graph) -> None:
    rehearsed = _make(database, graph, sql=["CREATE TABLE t ()"])
    _run(database, "CREATE TABLE stray (i int)")
    plan = _make(database, graph, rehearsed=rehearsed.as_dict())
    assert not plan.rehearsed
    assert plan.digest != rehearsed.digest


FOUND = lint.check(
    [lint.Executed(sql="DROP TABLE customer"), lint.Executed(sql="DROP TABLE invoice")],
    {"customer": lint.Table(rows=10**6)},
    waived=[lint.Waiver(rule="ban-drop-table", statement="DROP TABLE invoice", until=dt.date(2999, 1, 1), reason="x")],
)  # fmt: skip


def test_the_page_for_an_approver_says_what_lint_found_and_what_is_waived(database: str, graph: Graph) -> None:
    plan = _make(database, graph, sql=["DROP TABLE customer"]).as_dict()
    page = pages.plan(plan, None, FOUND.as_dict())
    found, waived = page.split("## What lint says of the statements")[1].split("## SQL")[0].split("- waived: ")
    assert "ban-drop-table | customer |" in found
    assert "invoice" not in found, "what is waived does not count"
    assert waived.startswith("ban-drop-table for DROP TABLE invoice, counts until 2999-01-01: x\n")
    assert "lint says" not in pages.plan(plan), "nothing was linted"


def test_the_page_cites_the_number_that_the_statement_has_on_it(database: str, graph: Graph) -> None:
    plan = _make(database, graph, sql=["CREATE TABLE a ()", "DROP TABLE customer"]).as_dict()
    sent = ["SELECT 1", "CREATE TABLE a ()", "SELECT 2", "DROP TABLE customer", "CREATE TABLE a ()"]
    lock = {"lock": "AccessExclusiveLock", "begin": 0.0, "end": 1.5}
    rehearsal = {
        "headline": "rehearsed", "parts": [], "statements": [{"n": n, "sql": sql} for n, sql in enumerate(sent, 1)],
        "holds": [{**lock, "relation": "customer", "statement": 4}, {**lock, "relation": "a", "statement": 5},
                  {**lock, "relation": "other", "statement": 3}],
    }  # fmt: skip
    page = pages.plan(plan, {**rehearsal, "backup": "b-1"}, name="production", label="postgres@db/shop", at="noon UTC")
    assert page.startswith("# Migration plan of production: from ")
    assert "\nTarget `production`, `postgres@db/shop`; database `" in page
    assert "; rehearsed on backup `b-1`; as it stood noon UTC.\n" in page
    page = pages.plan(plan, rehearsal)
    assert "| customer | AccessExclusiveLock | 1.500 s | 2 |" in page
    assert "| a | AccessExclusiveLock | 1.500 s | 1 |" in page, "a repeated one is the one that is shown"
    assert "| other | AccessExclusiveLock | 1.500 s |  |" in page, "one that is not shown has no number"
    assert "**2.**\n\n```sql\nDROP TABLE customer\n```" in page
    assert "A run counts more" in page


# --- its schema


def test_what_is_printed_as_json_is_as_the_shipped_schema_says(database: str, graph: Graph) -> None:
    import jsonschema

    shipped = migration_plan.schema.schema()
    jsonschema.Draft202012Validator.check_schema(shipped)
    said = json.loads(json.dumps(_make(database, graph).as_dict()))
    jsonschema.validate(said, shipped)
    jsonschema.validate(said | {"findings": list(FOUND.rows)}, shipped)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**said, "digest": "sha256:0"}, shipped)


@pytest.mark.parametrize(("part", "value"), [
    ("direction", "sideways"), ("schema", "sha256:0"), ("to", None), ("from", "a"), ("sql", [1]), ("more", 1),
    ("revisions", [{"id": "a", "sha256": "short"}]), ("target", {"dialect": "postgresql"}),
])  # fmt: skip
def test_what_is_no_plan_is_refused_with_the_part_that_is_wrong(
    part: str, value: object, database: str, graph: Graph
) -> None:
    content = {**_make(database, graph).content, part: value}
    with pytest.raises(Refused, match="no migration plan of this afdb") as caught:
        migration_plan.from_content(content)
    assert part in caught.value.why


@pytest.mark.parametrize("part", ["target", "direction", "from", "to", "schema", "revisions", "sql", "drop_data"])
def test_each_part_of_the_content_changes_the_digest_and_nothing_else_does(
    part: str, database: str, graph: Graph
) -> None:
    plan = _make(database, graph)
    other = {"target": {**plan.content["target"], "oid": 1}, "direction": "downgrade", "from": ["x"], "to": "x",
             "schema": "sha256:" + "0" * 64, "revisions": [], "sql": ["SELECT 1"], "drop_data": True}  # fmt: skip
    changed = {**plan.content, part: other[part]}
    assert migration_plan.from_content(changed).digest != plan.digest
    assert set(other) == {*plan.content, "drop_data"} == set(schema.schema()["$defs"]["content"]["properties"])
    assert plan.previewed(["SELECT 1"], [FIRST]).digest == plan.digest
    backwards = dict(reversed(list(plan.content.items())))
    assert migration_plan.from_content(backwards).digest == plan.digest


# --- offline SQL, where nothing was rehearsed

COUNTS = 'n = op.get_bind().execute(sa.text("SELECT count(*) FROM customer")).scalar_one()\nassert n >= 0'
LIES = 'if op.get_bind().execute(sa.text("SELECT 1")):\n    op.execute("DROP TABLE invoice")'


def test_trap_offline_sql_flags_the_revisions_that_read_the_database(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trap: `--sql` on a revision that reads data raises, or lies."""
    project = projects.small(tmp_path / "reads")
    projects.add(project, "3c", SECOND, COUNTS)
    projects.add(project, "4d", "3c", LIES)
    projects.add(project, "5e", "4d", 'op.create_table("last", sa.Column("i", sa.Integer))')
    plan = offline.preview(_make(database, project.graph()), project, "postgresql://")
    assert plan.not_previewable == ("3c", "4d"), "the one raises, the other prints something else than it does"
    assert plan.digest == _make(database, project.graph()).digest
    printed = "\n".join(plan.offline)
    assert "CREATE TABLE customer" in printed
    assert "CREATE TABLE last" in printed, "what comes after it is shown"
    assert "DROP TABLE invoice" not in printed
    flag = "not previewable: it reads the database"
    assert [row["offline SQL"] for row in plan.rows] == ["printed", "printed", flag, flag, "printed"]
    page = pages.plan(plan.as_dict())
    assert "| 3c |" in page
    assert page.count("**not previewable**") == 2
    assert "CREATE TABLE last" in pages.plan(plan.as_dict(), form="html")
    monkeypatch.setattr(offline, "reads", lambda _: False)
    believed = offline.preview(_make(database, project.graph()), project, "postgresql://")
    assert believed.not_previewable == ("3c",), "the control: without the look the lie passes for printed"
    assert "DROP TABLE invoice" not in "\n".join(believed.offline)


def test_where_a_rehearsal_has_shown_the_sql_nothing_is_printed_offline(database: str, tmp_path: Path) -> None:
    project = projects.small(tmp_path / "seen")
    plan = _make(database, project.graph(), sql=["CREATE TABLE t ()"])
    assert offline.preview(plan, project, "postgresql://") is plan


@pytest.mark.parametrize("rehearsed", [False, True])
def test_one_child_reads_the_chain_and_prints_its_sql(database: str, tmp_path: Path, rehearsed: bool) -> None:
    project = projects.small(tmp_path / "once")
    read, env = tmp_path / "read", project.ini.parent / "migrations" / "env.py"
    for file, word in ((project.graph().revisions[0].path, "chain"), (env, "env")):
        file.write_text(file.read_text() + f"\nprint({word!r}, file=open({str(read)!r}, 'a'))\n")
    plan = offline.planned(
        project, "postgresql://", lambda graph: _make(database, graph, sql=["CREATE TABLE t ()"] if rehearsed else [])
    )
    assert read.read_text().split() == ["chain"] + ([] if rehearsed else ["env"])
    assert ("CREATE TABLE customer" in "\n".join(plan.offline)) is not rehearsed
    separate = offline.preview(_make(database, project.graph()), project, "postgresql://")
    assert rehearsed or separate.as_dict() == plan.as_dict()
    assert read.read_text().split().count("chain") == 2, "the control: a preview of its own reads the chain again"


def test_a_revision_that_raises_is_flagged_by_one_child_as_by_two(database: str, tmp_path: Path) -> None:
    project = projects.small(tmp_path / "raises")
    projects.add(project, "3c", SECOND, COUNTS)
    projects.add(project, "4d", "3c", 'op.create_table("last", sa.Column("i", sa.Integer))')
    plan = offline.planned(project, "postgresql://", lambda graph: _make(database, graph))
    assert plan.not_previewable == ("3c",)
    assert plan == offline.preview(_make(database, project.graph()), project, "postgresql://")


def test_a_plan_that_cannot_be_made_or_read_is_an_error_and_ends_the_child(database: str, tmp_path: Path) -> None:
    project = projects.small(tmp_path / "wrong")
    with pytest.raises(ConfigError, match="revision 'x' is unknown"):
        offline.planned(project, "postgresql://", lambda graph: _make(database, graph, "x"))
    projects.add(project, "3c", SECOND, "not python at all")
    with pytest.raises(ConfigError, match="cannot be read"):
        offline.planned(project, "postgresql://", lambda graph: _make(database, graph))
