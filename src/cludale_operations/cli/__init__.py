"""The command line: `cludale`. Options to calls, answers to tables; what it talks to is a running server or a store.

Exit statuses: 0 done; 1 the answer is no (a refusal, a broken chain, a difference); 2 it could not be asked.
"""

import os
import sys
from typing import Annotated

import typer

from cludale import __version__
from cludale.wiring.settings import Settings
from cludale.wiring.variables import UnusableSetting
from cludale_operations.cli.commands import Commands
from cludale_operations.cli.screen import fail, table

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Cludale Tickets: concert tickets that are never oversold.\n\n"
    "`cludale serve` starts it; the other commands talk to a server that runs, or read its data folder. "
    "`cludale settings` shows what can be set, by environment variables.",
)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"cludale {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """What goes before the command."""


@app.command()
def settings(*, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show every setting: its variable, what it is now, its default, what it means. Secrets are masked."""
    explained = list(Settings.from_env(os.environ).explained())
    table(
        [each._asdict() for each in explained],
        columns=("variable", "value", "default", "meaning"),
        wide=("value", "meaning"),
        as_json=json,
        marked=lambda row: row["value"] != row["default"],
    )


def main() -> None:
    """Run the command line and exit."""
    try:
        app()
    except UnusableSetting as error:
        fail(str(error))
    except BrokenPipeError:
        # `cludale audit events | head` is no error; without this Python complains when it flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
