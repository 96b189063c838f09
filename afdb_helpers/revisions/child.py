"""Alembic in a process of its own, run by the interpreter of the project it belongs to.

A script, not a module of the package: it needs that project's Alembic (≥ 1.8) and SQLAlchemy (≥ 1.4) alone, and leaves
its env.py as it is. The request is a JSON line on standard input; events are JSON lines on the file descriptor named in
argv. After a connection, before a commit, and before a statement outside a transaction, it waits for a line on standard
input: the event was stored. When that closes (the parent died) it leaves at once, and the server rolls back.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import io
import json
import os
import select
import signal
import sys
import threading
import time
from argparse import Namespace
from typing import Any

HELD = 0.1  # seconds
_LOCKS = """
SELECT c.oid::regclass::text, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  AND c.relnamespace <> 'pg_catalog'::regnamespace ORDER BY 1, 2
"""
_CODES = ("pgcode", "sqlstate", "sqlite_errorname")  # what drivers call the error's code
_WHERE = """
SELECT d.oid::bigint, d.datname::text, pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
       pg_backend_pid(), txid_current_if_assigned()::text FROM pg_database d WHERE d.datname = current_database()
"""
_SIGN = """DO $afdb$ BEGIN EXECUTE {};
EXCEPTION WHEN insufficient_privilege OR lock_not_available THEN RAISE WARNING 'no comment: %', SQLERRM; END $afdb$"""
_SET = "SELECT set_config({}, {}, false)"
_SYSTEM = "SELECT system_identifier::text, left(pg_walfile_name(pg_current_wal_lsn()), 8) FROM pg_control_system()"


class Channel:
    """Events to the parent, several at a time (each would wake it), `HELD` late at most; acknowledgements from it."""

    def __init__(self, descriptor: int) -> None:
        self.out = os.fdopen(descriptor, "wb")  # binary files may be flushed by any thread
        threading.Thread(target=self.relay, daemon=True).start()

    def relay(self) -> None:
        with contextlib.suppress(ValueError):  # closed
            while True:
                time.sleep(HELD)
                self.out.flush()

    def emit(self, event: str, **facts: Any) -> None:
        self.out.write(json.dumps({"event": event, **facts}, default=str).encode() + b"\n")

    def confirm(self, event: str, **facts: Any) -> str:
        """Emit, then wait until the parent has stored it, and return its answer."""
        self.emit(event, confirm=True, **facts)
        self.out.flush()
        return sys.stdin.readline() or os._exit(70)


class Observer:
    """Reports every connection, statement, commit and rollback on any engine of this process.

    Statements only with `statements`, the default; `ask` is a question put to the server after each, on its connection;
    `stepwise`, each report waits until the parent has looked. `mark` is left as a comment by the one that stamps.
    """

    def __init__(self, channel: Channel, request: dict[str, Any]) -> None:
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        self.channel, self.locks, self.number = channel, bool(request.get("locks")), 0
        self.ask, self.report = request.get("ask") or "", channel.confirm if request.get("stepwise") else channel.emit
        self.settings, self.mark = request.get("settings") or {}, request.get("mark")
        self.held, self.stamps = set[tuple[str, str]](), False
        heard: dict[str, Any] = {"engine_connect": self.connected, "commit": self.commit, "rollback": self.rollback}
        each = {"before_cursor_execute": self.before, "after_cursor_execute": self.after}
        for name, hear in {**heard, **(each if request.get("statements", True) else {})}.items():
            event.listen(Engine, name, hear)

    def connected(self, connection: Any, *_branch: Any) -> None:
        """Before the first statement of a session: give it its settings, and say which database it is on."""
        if connection.info.get("afdb"):
            return
        connection.info["afdb"] = True
        self.follow(connection.dialect)
        self.channel.confirm("connected", dialect=connection.dialect.name, **self.introduced(connection))

    def introduced(self, connection: Any) -> dict[str, Any]:
        if connection.dialect.name == "sqlite":
            return {"database": next((r[2] for r in ask(connection, "PRAGMA database_list") if r[1] == "main"), "")}
        if connection.dialect.name != "postgresql":
            return {}
        for name, value in self.settings.items():
            ask(connection, _SET.format(quoted(name), quoted(value)))
        connection.connection.commit()
        facts = where(connection)
        with contextlib.suppress(Exception):  # hosted servers keep it to themselves, and a replica has no such place
            facts["system_identifier"], facts["timeline"] = ask(connection, _SYSTEM)[0]
        connection.connection.rollback()
        return facts

    def follow(self, dialect: Any) -> None:
        """Say also when a commit has come back; SQLAlchemy has an event before it only."""
        if getattr(dialect.do_commit, "afdb", False):
            return
        commit = dialect.do_commit

        def followed(raw: Any) -> None:
            commit(raw)
            self.report("committed", after=self.number)

        followed.afdb = True  # type: ignore[attr-defined]
        dialect.do_commit = followed

    def before(self, connection: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
        self.number += 1
        chosen = connection.get_execution_options().get("isolation_level")
        alone = (chosen or getattr(connection.dialect, "_on_connect_isolation_level", None)) == "AUTOCOMMIT"
        context._afdb_started, context._afdb_alone = time.monotonic(), alone
        self.stamps = self.stamps or is_stamp(sql)
        (self.channel.confirm if alone else self.report)("statement", n=self.number, sql=sql, alone=alone)

    def after(self, connection: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
        seconds = time.monotonic() - context._afdb_started
        rows = cursor.rowcount if isinstance(cursor.rowcount, int) and cursor.rowcount >= 0 else None
        facts = {"seconds": round(seconds, 6), "rows": rows, "locks": self.taken(connection)}
        if self.ask and connection.dialect.name == "postgresql":
            facts["answer"] = [list(row) for row in ask(connection, self.ask)]
        self.report("done", n=self.number, **facts)
        if context._afdb_alone and self.stamps:
            self.sign(connection)

    def taken(self, connection: Any) -> list[list[str]]:
        """The table locks that this transaction holds now and did not hold before: [relation, mode]."""
        if not self.locks or connection.dialect.name != "postgresql":
            return []
        now = {(row[0], row[1]) for row in ask(connection, _LOCKS)}
        fresh, self.held = sorted(now - self.held), self.held | now
        return [list(lock) for lock in fresh]

    def rollback(self, connection: Any) -> None:
        self.held.clear()
        self.stamps = False
        self.report("rollback", after=self.number)

    def commit(self, connection: Any) -> None:
        self.held.clear()
        if self.stamps:
            self.sign(connection)
        facts = None
        with contextlib.suppress(Exception):  # another dialect; a failed transaction, which the server will roll back
            facts = where(connection)
        self.channel.confirm("commit", after=self.number, where=facts)

    def sign(self, connection: Any) -> None:
        """Leave in the database which run stamped it; where the role may not, it is said and nothing else fails."""
        self.stamps = False
        if self.mark and connection.dialect.name == "postgresql":
            sentence = quoted(f"COMMENT ON TABLE alembic_version IS {quoted(self.mark)}")
            ask(connection, _SIGN.format(sentence), rows=False)


def ask(connection: Any, sql: str, *, rows: bool = True) -> list[Any]:
    """The rows of a question of our own, past every event."""
    with contextlib.closing(connection.connection.cursor()) as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall()) if rows else []


def where(connection: Any) -> dict[str, Any]:
    """The database that the session is on now, and its transaction's number where it has one."""
    names = ("oid", "database", "replica", "read_only", "pid", "xid")
    return dict(zip(names, ask(connection, _WHERE)[0]))  # noqa: B905 — a project's Python may be 3.9


def quoted(value: Any) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def is_stamp(sql: str) -> bool:
    """Whether a statement writes a revision into the version table."""
    verb, *words = sql.split(None, 3) or [""]
    named = any(word.split(".")[-1].strip('"') == "alembic_version" for word in words[:2])
    return named and verb.upper() in ("INSERT", "UPDATE", "DELETE")


def leave_with_parent() -> None:
    """Wait until nobody can write to standard input any more, then end this process."""
    hung_up = select.poll()
    hung_up.register(0, 0)
    hung_up.poll()
    os._exit(70)


def with_driver(url: str, *declared: str) -> str:
    """The URL with the driver that the project names for this dialect (an async one, say), else one that is here."""
    given, _, rest = url.partition("://")
    dialect = given.partition("+")[0]
    named = (one.partition("://")[0].replace("postgres+", "postgresql+") for one in declared)
    ours = dialect if given.endswith("+psycopg2") and importlib.util.find_spec("psycopg2") is None else given
    return next((one for one in named if one.startswith(dialect + "+")), ours) + "://" + rest


def configuration(request: dict[str, Any]) -> Any:
    """The project's own alembic.ini, with the URL where an env.py may look for it: option and environment."""
    from alembic.config import Config

    config = Config(request["ini"], cmd_opts=Namespace(x=request.get("x") or None))
    if request.get("url"):
        own = config.file_config.get(config.config_ini_section, "sqlalchemy.url", raw=True, fallback="")
        url = with_driver(request["url"], own, os.environ.get("DATABASE_URL", ""))
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        os.environ["DATABASE_URL"] = url
    config.attributes.update(request.get("attributes") or {})
    return config


def describe(config: Any, channel: Channel) -> dict[str, Any]:
    """One event a revision, from base to head, then the heads; returns the parent's answer: what to do about them."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(config)
    for revision in reversed(list(script.walk_revisions())):
        down = revision.down_revision or ()
        module = {"mapping": getattr(revision.module, "mapping", None), "resumes": hasattr(revision.module, "missing")}
        below = [down] if isinstance(down, str) else list(down)
        channel.emit("revision", id=revision.revision, down=below, doc=revision.doc or "", path=revision.path, **module)
    setattr(ScriptDirectory, "from_config", lambda _config: script)  # noqa: B010 — what follows reads no file again
    return dict(json.loads(channel.confirm("heads", heads=list(script.get_heads())).strip() or "{}"))


def look_at_env(request: dict[str, Any], channel: Channel) -> None:
    """Say where env.py keeps the revisions; `apart`, each of them gets its own transaction, whatever it asks for."""
    from alembic.runtime.environment import EnvironmentContext

    configure = EnvironmentContext.configure

    def seen(self: Any, *given: Any, **options: Any) -> None:
        channel.emit("configured", table=options.get("version_table"), schema=options.get("version_table_schema"))
        if request.get("apart"):
            options["transaction_per_migration"] = True
        if request.get("create_all"):  # what the models declare, in place of what the chain makes
            models = options["target_metadata"]
            for one in models if isinstance(models, (list, tuple)) else [models]:
                one.create_all(options["connection"])
            getattr(options["connection"], "commit", bool)()
        configure(self, *given, **options)

    setattr(EnvironmentContext, "configure", seen)  # noqa: B010 — mypy's word on methods


def carry_out(request: dict[str, Any], channel: Channel) -> None:
    """Run one Alembic command; its own printed output goes to this process's standard output."""
    from alembic import command

    config = configuration(request)
    if request.get("describe"):
        request.update(describe(config, channel))
    gc.freeze()  # nothing of what was imported is garbage
    if request.get("observe"):
        Observer(channel, request)
    if request["command"] != "describe":
        look_at_env(request, channel)
        config.output_buffer = io.StringIO()  # the SQL of --sql, apart from what is logged and printed
        try:
            getattr(command, request["command"])(config, *request.get("arguments", []), **request.get("options", {}))
        finally:
            if script := config.output_buffer.getvalue():
                channel.emit("script", sql=script)


def main() -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job begins with it ignored
    gc.set_threshold(200_000)  # or a sixth of the start is spent looking for garbage in what is being imported
    channel = Channel(int(sys.argv[1]))
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=leave_with_parent, daemon=True).start()
    sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(os.path.abspath(__file__))]
    try:
        carry_out(request, channel)
        channel.emit("end")
        return 0
    except BaseException as error:
        orig, parts = getattr(error, "orig", None), getattr(error, "parts", None)
        code = next(filter(None, (getattr(orig, name, None) for name in _CODES)), None)
        channel.emit("error", kind=type(error).__name__, message=str(orig or error).strip(), parts=parts, sqlstate=code)
        return 1
    finally:
        channel.out.close()
        if request.get("throwaway"):  # nothing in its database needs a session's farewell: leave at once
            gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
