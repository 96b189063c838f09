"""Reading a PostgreSQL server: in ranges of a table's blocks, on one connection or on several that see one moment."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog
from afdb_helpers.errors import Unavailable
from afdb_helpers.fingerprint import statements
from afdb_helpers.fingerprint.keeping import Kept
from afdb_helpers.fingerprint.prints import Sums
from afdb_helpers.fingerprint.reading import Wanted
from afdb_helpers.fingerprint.statements import Dialect

if TYPE_CHECKING:
    from psycopg2.sql import Composable
    from sqlalchemy import Connection

SESSION = catalog.SETTINGS | {"row_security": "off", "search_path": "pg_catalog", "jit": "off"}
PROBE = 3447271187946711828  # the hash of "afdb", as lookup3.py computes it; numpy is not imported for that
BLOCK = 8192
LIMITS = "SELECT name, setting FROM pg_settings WHERE name ~ '^(statement|(idle_in_)?transaction(_session)?)_timeout$'"
RANGE = 64 * 2**20  # bytes of a table that are read by one statement
ODD = {"42P01": "it was dropped while it was read", "42703": "its columns were changed while it was read",
       "57014": "the statement took longer than it may"}  # fmt: skip
Note = Callable[..., object]


@dataclass(frozen=True)
class Task:
    """One statement: part of a table's blocks, or all of it."""

    number: int
    wanted: Wanted
    blocks: tuple[int, int | None] | None


def read(
    connection: Connection,
    plan: Sequence[Wanted],
    *,
    jobs: int = 1,
    timeout: float = 0,
    kept: Kept | None = None,
    note: Note = lambda event, **facts: None,
) -> list[Sums]:
    """The sums of each wanted print. Raises `Unavailable` naming the table that cannot be read."""
    tasks = [Task(i, wanted, blocks) for i, wanted in enumerate(plan) for blocks in _ranges(wanted)]
    tasks.sort(key=lambda task: -task.wanted.table.bytes)
    sums = [Sums(0, 0, [(0, 0)] * len(wanted.columns)) for wanted in plan]
    done = threading.Lock()

    def work(open_: Connection, left: Iterator[Task]) -> None:
        with settled(open_, timeout):
            facts = dialect(open_)
            while (task := _next(left, done)) is not None:
                found = (kept and kept.get(task.wanted, task.blocks)) or _sums(open_, task, facts)
                with done:
                    sums[task.number].add(found)
                    if kept:
                        kept.put(task.wanted, task.blocks, found)
                    finished.append(task)
                    note("fingerprint", table=task.wanted.table.shown, done=len(finished), of=len(tasks))

    finished: list[Task] = []
    if jobs <= 1 or len(tasks) <= 1:
        work(connection, iter(tasks))
    else:
        _side_by_side(connection, tasks, work, jobs)
    return sums


def dialect(connection: Connection) -> Dialect:
    """What the SQL depends on. Raises `Unavailable` where the hashes would be others than everybody's."""
    row = connection.exec_driver_sql(
        "SELECT current_setting('server_version_num')::integer / 10000, getdatabaseencoding()::text,"
        " hashtextextended('afdb' COLLATE \"C\", 0)"
    ).one()
    if row[2] != PROBE:
        raise Unavailable(
            "this server's hash functions give other values",
            why="it runs on a big-endian machine, or is not PostgreSQL: its fingerprints would equal nobody's",
            do="compare two restored copies of it on an ordinary machine",
        )
    return Dialect(row[0], row[1])


def moment(connection: Connection) -> str:
    """The snapshot as it is now, as text."""
    return str(connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar_one())


@contextlib.contextmanager
def settled(connection: Connection, timeout: float = 0) -> Iterator[None]:
    """Fix the session settings that the text of a value depends on, and give them back; policies that hide rows are
    errors meanwhile."""
    wanted = SESSION | ({"statement_timeout": str(round(timeout * 1000))} if timeout else {})
    with catalog.settled(connection, wanted):
        yield


def _ranges(wanted: Wanted) -> list[tuple[int, int | None] | None]:
    """A small table is one range; the last range of a big one is open, for rows that are added meanwhile."""
    table, step = wanted.table, RANGE // BLOCK
    if not table.plain or table.bytes <= RANGE:
        return [None]
    starts = list(range(0, table.bytes // BLOCK, step))
    return [(start, start + step if start != starts[-1] else None) for start in starts]


def _next(left: Iterator[Task], lock: threading.Lock) -> Task | None:
    with lock:
        return next(left, None)


def _sums(connection: Connection, task: Task, facts: Dialect) -> Sums:
    row = execute(connection, statements.totals(task.wanted, facts, task.blocks), task.wanted.table.shown)[0]
    pairs = [(int(row[2 + 2 * i]), int(row[3 + 2 * i])) for i in range(len(task.wanted.columns))]
    return Sums(int(row[0]), int(row[1]), pairs)


def execute(connection: Connection, statement: Composable, table: str) -> list[Any]:
    """Rows of a SELECT on a table; a driver's error as one that names the table."""
    from sqlalchemy.exc import DBAPIError

    raw: Any = connection.connection.driver_connection
    try:
        found = connection.exec_driver_sql(statement.as_string(raw), execution_options={"no_parameters": True}).all()
    except DBAPIError as error:
        raise unreadable(table, error) from None
    return list(found)


class Unreadable(Unavailable):
    """One table could not be read. `sqlstate` is the server's code for why."""

    sqlstate = ""


def unreadable(table: str, error: Any) -> Unreadable:
    code = str(getattr(error.orig, "pgcode", "") or "")
    said = str(error.orig).strip().splitlines()[0]
    remedy = {
        "57014": "give it more time with --timeout, or read a part with --sample",
        "42P01": "run again: what is there now is read then",
        "42703": "run again: what is there now is read then",
    }
    raised = Unreadable(
        f"table {table} cannot be read, so nothing can be said of its data",
        why=f"{ODD[code]} ({said})" if code in ODD else said,
        do=remedy.get(code, f"grant the role SELECT on {table}, then run again"),
    )
    raised.sqlstate = code
    return raised


def _side_by_side(
    connection: Connection, tasks: list[Task], work: Callable[[Connection, Iterator[Task]], None], jobs: int
) -> None:
    """As many connections as jobs, all of them at the moment of the first and with its time limits."""
    left, errors = iter(tasks), []

    def one(snapshot: str, limits: dict[str, Any]) -> None:
        try:
            with _opened(connection, snapshot) as mine:
                catalog.configure(mine, limits)
                work(mine, left)
        except BaseException as error:  # raised again in the thread that waits
            errors.append(error)
            for _ in left:  # the others have nothing more to do
                pass

    with _holding(connection) as first:
        snapshot = str(first.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one())
        limits = {str(name): value for name, value in first.exec_driver_sql(LIMITS)}
        threads = [threading.Thread(target=one, args=(snapshot, limits)) for _ in range(min(jobs, len(tasks)) - 1)]
        for thread in threads:
            thread.start()
        try:
            work(first, left)
        finally:
            for thread in threads:
                thread.join()
    if errors:
        raise errors[0]


@contextlib.contextmanager
def _holding(connection: Connection) -> Iterator[Connection]:
    """The connection, where it is within a transaction of one moment; else a new one that is."""
    raw: Any = connection.connection.driver_connection
    if not raw.autocommit:
        yield connection
    else:
        with _opened(connection) as mine:
            yield mine


@contextlib.contextmanager
def _opened(connection: Connection, snapshot: str = "") -> Iterator[Connection]:
    from sqlalchemy import text

    with connection.engine.connect().execution_options(isolation_level="REPEATABLE READ") as mine:
        if snapshot:
            mine.execute(text("SET TRANSACTION SNAPSHOT :id"), {"id": snapshot})
        yield mine
