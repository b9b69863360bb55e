"""The command line: `cludale`. Options to calls, answers to tables; what it talks to is a running server or a store.

Exit statuses: 0 done; 1 the answer is no (a refusal, a broken chain, a difference); 2 it could not be asked.
"""

import os
import sys
from typing import Annotated

import typer

from cludale import __version__
from cludale.wiring.settings import Settings, UnusableSetting
from cludale_operations.cli import (
    audit,
    backup,
    broker,
    codes,
    concerts,
    dead_letters,
    gateway,
    invoices,
    keys,
    notifications,
    orders,
    payments,
    privacy,
    release,
    reports,
    restore,
    secrets,
    staff,
    tickets,
    up,
    webhooks,
)
from cludale_operations.cli.door import door
from cludale_operations.cli.pages import pages
from cludale_operations.cli.proofs import Commands
from cludale_operations.cli.screen import fail, table
from cludale_operations.cli.serve import serve

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


app.command()(serve)
app.command()(pages)
app.add_typer(up.app, name="up")
app.add_typer(broker.app, name="broker")
app.add_typer(gateway.app, name="gateway")
app.add_typer(release.app, name="release")
app.add_typer(secrets.app, name="secrets")
app.add_typer(restore.app, name="restore")
app.add_typer(concerts.app, name="concerts")
app.add_typer(codes.app, name="codes")
app.add_typer(keys.app, name="keys")
app.add_typer(staff.app, name="staff")
app.add_typer(orders.app, name="orders")
app.add_typer(payments.app, name="payments")
app.add_typer(invoices.app, name="invoices")
app.add_typer(reports.app, name="reports")
app.add_typer(privacy.app, name="privacy")
app.add_typer(notifications.app, name="notifications")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(tickets.app, name="tickets")
app.command()(door)
app.add_typer(audit.app, name="audit")
app.add_typer(dead_letters.app, name="deadletters")
app.add_typer(backup.app, name="backup")


def main() -> None:
    """Run the command line and exit."""
    try:
        app()
    except UnusableSetting as error:
        fail(str(error))
    except BrokenPipeError:
        # `cludale audit events | head` is no error; without this Python complains when it flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
