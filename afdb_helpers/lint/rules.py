"""The rules that squawk lacks. Each looks at one statement and says what it finds, or nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from afdb_helpers.lint import remedies
from afdb_helpers.lint.findings import LONG, NOTICED, Executed, Finding, Severity, Table, Wait, estimated, find, weigh
from afdb_helpers.lint.statements import Statement, one_line

BATCH = 10_000  # rows that may change in one statement
VERSION_TABLE = "alembic_version"
# Supabase's own, and the server's: https://supabase.com/docs lists them
RESERVED = frozenset((
    "auth", "storage", "realtime", "_realtime", "_analytics", "_supavisor", "extensions", "graphql", "graphql_public",
    "net", "cron", "vault", "pgsodium", "pgsodium_masks", "pgbouncer", "supabase_functions", "supabase_migrations",
    "pg_catalog", "pg_toast", "information_schema",
))  # fmt: skip
ROLES = re.compile(
    r"supabase_\w+|authenticator|authenticated|anon|service_role|dashboard_user|pgbouncer|pgsodium\w*|pg_\w+"
)
EVERYBODY = ("anon", "public")  # PUBLIC, and the role of Supabase's API for who did not log in
_LOOKS = ("", "select", "set", "reset", "show", "comment", "begin", "commit", "analyze", "explain")
Tables = dict[str, Table]
Rule = Callable[[Statement, Executed, Tables], Iterator[Finding]]


def look(statements: Iterable[Statement], executed: Executed, tables: Tables) -> Iterator[Finding]:
    """What the rules find in one text that was executed; what was measured is of the text as a whole."""
    for statement in statements:
        for rule in _RULES:
            yield from rule(statement, executed, tables)
    yield from _rewrite(executed, tables)
    yield from _over_scan(executed, tables)


def waiting(executed: Executed, table: str = "") -> Wait | None:
    """The longest wait for the strongest lock that readers or writers meet, on this table or on any."""
    found = [wait for wait in executed.waits if "writes" in wait.blocks and (not table or wait.relation == table)]
    return max(found, key=lambda wait: ("reads" in wait.blocks, wait.seconds), default=None)


def _unbatched(statement: Statement, executed: Executed, tables: Tables) -> Iterator[Finding]:
    if statement.verb not in ("update", "delete") or statement.table in ("", VERSION_TABLE):
        return
    table = find(tables, statement.table)
    bounded = _bounded(statement)
    rows = executed.rows if executed.measured and executed.rows is not None else table.rows if table else None
    brief = executed.seconds is None or executed.seconds < LONG
    if (bounded and brief) or (rows is not None and rows < BATCH):
        return
    level: Severity = "medium" if executed.seconds is not None and executed.seconds < NOTICED else "high"
    many = f"{rows:,} rows" if rows is not None else "all rows that it finds"
    yield Finding(
        rule=f"unbatched-{statement.verb}", severity=level, statement=one_line(executed.sql), table=statement.table,
        lock="RowExclusiveLock", blocks="writes of the same rows", seconds=executed.seconds,
        known="measured" if executed.measured else "unknown",
        why=f"{many} stay locked until the transaction ends, and the table grows by as much",
        safe=remedies.BATCHES.format(head=_head(statement, executed.sql), table=statement.table),
    )  # fmt: skip


def _head(statement: Statement, sql: str) -> str:
    """The statement up to its condition; within a block only what it begins with is known."""
    start, end = statement.words[0].start, statement.words[-1].end
    where = next((token.start for token in statement.words if token.word("where")), end)
    written = sql[start:where].rstrip()
    return (
        written if written.lower().startswith(statement.verb) else " ".join([statement.verb.upper(), statement.table])
    )


def _bounded(statement: Statement) -> bool:
    """Whether it says how many rows at most, or which range of them, as one of many batches does."""
    words = statement.words
    ranged = any(
        token.text == "<" and {"parameter"} & {after.kind for after in words[n + 1 : n + 5]}
        for n, token in enumerate(words)
    )
    return ranged or any(token.word("limit", "between", "ctid") for token in words)


def _drop_trigger(statement: Statement, executed: Executed, tables: Tables) -> Iterator[Finding]:
    if (statement.verb, statement.kind) == ("drop", "trigger"):
        why = "readers and writers wait for it, and it for them; and what the trigger did is not done any more"
        yield _locking("drop-trigger", statement, executed, tables, why, remedies.DROP_TRIGGER)


def _truncate(statement: Statement, executed: Executed, tables: Tables) -> Iterator[Finding]:
    if statement.verb != "truncate":
        return
    table = find(tables, statement.table)
    level: Severity = "high" if table is None or not table.small else "medium" if table.rows else "low"
    yield _locking("truncate", statement, executed, tables, "every row is gone", remedies.TRUNCATE, level)


def _row_security(statement: Statement, executed: Executed, tables: Tables) -> Iterator[Finding]:
    freed = statement.has("no", "force", "row", "level", "security")
    if statement.verb == "alter" and (freed or statement.has("disable", "row", "level", "security")):
        whoever = "the table's owner" if freed else "whoever has a grant on the table"
        why = f"{whoever} sees and changes every row of it"
        yield _locking(
            "disable-row-level-security", statement, executed, tables, why, remedies.ROW_SECURITY, "blocking"
        )


def _policy(statement: Statement, executed: Executed, tables: Tables) -> Iterator[Finding]:
    if statement.kind == "policy" and statement.verb in ("drop", "alter") and not statement.has("rename", "to"):
        why = "rows that it hid are seen, or rows that it showed are not"
        yield _locking("change-policy", statement, executed, tables, why, remedies.POLICY, "blocking")


def _grants(statement: Statement, executed: Executed, tables: Tables) -> Iterator[Finding]:
    """A right that is taken, or given to everybody. It locks no table."""
    default = statement.has("alter", "default", "privileges")
    verb = next((t.text for t in statement.words if default and t.word("grant", "revoke")), statement.verb)
    to = max((n for n, token in enumerate(statement.words) if token.word("to")), default=len(statement.words))
    if verb == "revoke":
        rule, why = "revoke", "who had the right and uses it fails from now on"
    elif verb == "grant" and any(token.text in EVERYBODY for token in statement.words[to:]):
        rule, why = "grant-to-everybody", "everybody who reaches the server or its API may do this"
    else:
        return
    yield Finding(
        rule=rule, severity="blocking", statement=one_line(executed.sql), table=statement.table, lock="",
        blocks="nothing", why=why, safe=remedies.GRANTS.format(sql=executed.sql.strip()),
    )  # fmt: skip


def _if_not_exists(statement: Statement, executed: Executed, tables: Tables) -> Iterator[Finding]:
    if statement.has("concurrently", "if", "not", "exists"):
        table = find(tables, statement.table)
        at = next(n for n, token in enumerate(statement.words) if token.word("exists"))
        sql = re.sub(r"\bIF\s+NOT\s+EXISTS\s+", "", executed.sql, count=1, flags=re.IGNORECASE)
        yield Finding(
            rule="concurrently-if-not-exists", severity="medium" if table and table.small else "high",
            statement=one_line(executed.sql), table=statement.table, lock="ShareUpdateExclusiveLock", blocks="nothing",
            why="an index that a died run left is invalid, stays so, and passes for built",
            safe=remedies.IF_NOT_EXISTS.format(index=statement.words[at + 1].text, without=sql),
        )  # fmt: skip


def _reserved(statement: Statement, executed: Executed, tables: Tables) -> Iterator[Finding]:
    """Schemas and roles that belong to the provider or to the server; to read them, or refer to them, is no change."""
    if not (touched := _reserved_name(statement)):
        return
    why = f"{touched} belongs to the provider or to the server, which change it as they need"
    yield _locking("reserved", statement, executed, tables, why, remedies.RESERVED, "blocking")


def _reserved_name(statement: Statement) -> str:
    if statement.verb in _LOOKS:
        return ""
    schema, dot, _ = statement.table.partition(".")
    if dot and schema in RESERVED:
        return f"schema {schema}"
    about = statement.about()
    listed = not statement.table or statement.verb in ("drop", "truncate", "lock", "grant", "revoke")
    for n, token in enumerate(about):
        if token.kind not in ("word", "name") or not n:
            continue
        qualifies = n + 1 < len(about) and about[n + 1].text == "." and about[n - 1].text != "."
        said = about[n - 1].word("schema") and statement.kind != "extension"
        if token.text in RESERVED and (said or (qualifies and listed)):
            return f"schema {token.text}"
        if about[1].word("role", "user") and n > 1 and ROLES.fullmatch(token.text):
            return f"role {token.text}"
    return ""


def _rewrite(executed: Executed, tables: Tables) -> Iterator[Finding]:
    for name in executed.rewrites:
        if re.match(r"\s*truncate\b", executed.sql, re.IGNORECASE):
            continue
        wait = waiting(executed, name) or waiting(executed)
        seconds = max(wait.seconds if wait else 0.0, executed.seconds or 0.0)
        blocks = wait.blocks if wait else "reads and writes"
        yield Finding(
            rule="rewrite", severity=weigh(seconds, find(tables, name), blocks), statement=one_line(executed.sql),
            table=name, lock=wait.lock if wait else "AccessExclusiveLock", blocks=blocks, seconds=seconds,
            known="measured", why="the table was written anew with all its indexes, which takes its size on disk again",
            safe=remedies.REWRITE.format(table=name),
        )  # fmt: skip


def _over_scan(executed: Executed, tables: Tables) -> Iterator[Finding]:
    """A statement that takes its time while somebody waits behind a lock, its own or one taken before."""
    wait = waiting(executed)
    if wait and executed.seconds is not None and executed.seconds >= NOTICED and not executed.rewrites:
        table = find(tables, wait.relation)
        yield Finding(
            rule="lock-over-scan", severity=weigh(wait.seconds, table, wait.blocks), statement=one_line(executed.sql),
            table=wait.relation, lock=wait.lock, blocks=wait.blocks, seconds=round(wait.seconds, 3), known="measured",
            why=f"it runs {executed.seconds:.2f} s while the lock is held", safe=remedies.SCAN,
        )  # fmt: skip


def _locking(
    rule: str,
    statement: Statement,
    executed: Executed,
    tables: Tables,
    why: str,
    safe: str,
    level: Severity | None = None,
) -> Finding:
    """A finding about a statement that takes ACCESS EXCLUSIVE for a moment, unless the transaction goes on."""
    table, wait = find(tables, statement.table), waiting(executed, statement.table)
    seconds = wait.seconds if wait else executed.seconds if executed.measured else estimated("brief", table)
    blocks = wait.blocks if wait else "reads and writes"
    return Finding(
        rule=rule, severity=level or weigh(seconds, table, blocks), statement=one_line(executed.sql),
        table=statement.table, lock=wait.lock if wait else "AccessExclusiveLock", blocks=blocks,
        seconds=None if seconds is None else round(seconds, 3), known="measured" if executed.measured else "estimated",
        why=why, safe=safe.format(table=statement.table, sql=executed.sql.strip()),
    )  # fmt: skip


_RULES: tuple[Rule, ...] = (
    _unbatched, _drop_trigger, _truncate, _row_security, _policy, _grants, _if_not_exists, _reserved
)  # fmt: skip
ALWAYS = ("reserved", "grant-to-everybody")  # these count on what was made just now, too
NAMES = ("unbatched-update", "unbatched-delete", "drop-trigger", "truncate", "disable-row-level-security",
         "change-policy", "revoke", "grant-to-everybody", "concurrently-if-not-exists", "reserved", "rewrite",
         "lock-over-scan")  # fmt: skip
