"""`afdb run NAME`: a runbook's parameters are its options, read from the notebook; and `afdb runbooks`."""

from __future__ import annotations

from typing import Any

import click

from afdb_helpers.cli import options
from afdb_helpers.cli.show import new_records, say
from afdb_helpers.errors import ConfigError

_KINDS = {"str": "TEXT", "int": "INTEGER"}  # click's own words


class Runbooks(click.Group):
    """A command for each runbook, made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from afdb_helpers.runbook import catalogue

        return [book.name for book in catalogue.catalogue()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        from afdb_helpers.runbook import catalogue

        return _command(catalogue.read(catalogue.find(cmd_name)))


@click.group(cls=Runbooks)
def run() -> None:
    """Run a runbook headless; it leaves a record.

    NAME is a runbook's name or number, or a notebook's path. Its parameters are options: --target production, or
    -p target production.
    """


@click.command()
def runbooks() -> None:
    """List the runbooks, their parameters and what they mean."""
    from afdb_helpers.report import Report
    from afdb_helpers.runbook import catalogue

    for book in catalogue.catalogue():
        rows = [
            {
                "parameter": p.name,
                "type": p.type,
                "default": "(required)" if p.required else repr(p.default),
                "": p.help,
            }
            for p in book.parameters
        ]
        say(Report(headline=f"{book.number} {book.name}: {book.sentence}", rows=tuple(rows)))
        click.echo()


def _command(book: Any) -> click.Command:
    own = [_option(parameter) for parameter in book.parameters]
    pairs = click.Option(
        ["-p", "pairs"], nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter by its name; may be repeated."
    )

    project = [click.Option(["--alembic-ini", "ini"], metavar="PATH", help=options.INI),
               click.Option(["--python"], metavar="PATH", help=options.PYTHON)]  # fmt: skip

    def carry_out(
        pairs: tuple[tuple[str, str], ...], ini: str | None, python: str | None, **given: str | bool | None
    ) -> None:
        from afdb_helpers import runbook

        options.use(ini, python)
        parameters = {name: str(value) for name, value in given.items() if value is not None}
        if twice := sorted(set(parameters) & {name for name, _ in pairs}):
            raise ConfigError(f"{twice[0]} is given twice", why="as an option and with -p", do="give it once")
        new_records()
        result = runbook.execute(book.path, parameters | dict(pairs))
        say(result)
        raise SystemExit(result.exit_code)

    help_ = f"{book.title}. {book.sentence}"
    return _Command(book.name, callback=carry_out, params=[*own, *project, pairs], help=help_, short_help=book.sentence)


class _Command(click.Command):
    """A runbook's command, whose -p takes two words."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.BadOptionUsage as error:
            if error.option_name != "-p":
                raise
            raise click.UsageError("-p takes two words, say -p NAME VALUE: -p target production", ctx) from None


def _option(parameter: Any) -> click.Option:
    flag = parameter.name.replace("_", "-")
    if parameter.kind == "bool" and parameter.default is False:
        return click.Option([f"--{flag}", parameter.name], is_flag=True, default=None, help=parameter.help)
    shown = "required" if parameter.required else f"default: {parameter.default}" if parameter.default != "" else ""
    text = f"{parameter.help}  [{shown}]" if shown else parameter.help
    if parameter.kind == "bool":
        return click.Option([f"--{flag}/--no-{flag}", parameter.name], default=None, help=text)
    kind = _KINDS.get(parameter.kind, parameter.kind.upper())
    metavar = "|".join(map(str, parameter.choices)) if parameter.choices else kind
    return click.Option([f"--{flag}", parameter.name], metavar=metavar, default=None, help=text)
