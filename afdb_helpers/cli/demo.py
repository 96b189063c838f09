"""`afdb demo` and `afdb lab`: the database to play with."""

from __future__ import annotations

import click

from afdb_helpers.cli.show import say


@click.command()
@click.option("--database", "only", is_flag=True, help="Only make the 001 database, leave its server on, print a URL.")
@click.option("--stop", is_flag=True, help="Stop the server that --database left running in this folder.")
def demo(only: bool, stop: bool) -> None:
    """A 001 database discovered, backed up, rehearsed, migrated, verified, priced: six runs, six records.

    Each folder has a server of its own: --stop ends the one of the folder that it is run in.
    """
    from afdb_helpers import demo as play

    folder = play.enter()
    if only or stop:
        with play.alone(folder):
            running = play.server(folder)
            if stop:
                running.stop()
            else:
                url = play.create(running, say=lambda line: click.echo(line, err=True))
                click.echo(url.replace("+psycopg2", "", 1))  # as psql takes it
    else:
        result = play.run(say=lambda line: click.echo(line, err=True))
        say(result)
        result.raise_unless_ok()


@click.command()
@click.option("--new", is_flag=True, help="Make the demo database anew, at revision 001.")
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the browser.")
@click.option("--port", default=8888, show_default=True, help="The port to listen on, on this machine only.")
def lab(new: bool, browser: bool, port: int) -> None:
    """JupyterLab with the runbooks, on the demo database; Ctrl-C ends both."""
    from afdb_helpers import demo as play

    play.lab(play.enter(), new=new, browser=browser, port=port)
