"""Every command of `cludale` by name, loaded when it is called: none waits for what only another one needs."""

import gc
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from cludale_operations.cli.screen import fail
from cludale_operations.proof import ProofMissing, proof_for

COMMANDS = {
    "serve": "cludale_operations.cli.serve:serve",
    "pages": "cludale_operations.cli.pages:pages",
    "up": "cludale_operations.cli.up:app",
    "database": "cludale_operations.cli.database:app",
    "broker": "cludale_operations.cli.broker:app",
    "gateway": "cludale_operations.cli.gateway:app",
    "release": "cludale_operations.cli.release:app",
    "secrets": "cludale_operations.cli.secrets:app",
    "restore": "cludale_operations.cli.restore:app",
    "concerts": "cludale_operations.cli.concerts:app",
    "seatplan": "cludale_operations.cli.seatplan:app",
    "codes": "cludale_operations.cli.codes:app",
    "blocks": "cludale_operations.cli.blocks:app",
    "waiting": "cludale_operations.cli.waiting:app",
    "keys": "cludale_operations.cli.keys:app",
    "staff": "cludale_operations.cli.staff:app",
    "orders": "cludale_operations.cli.orders:app",
    "boxoffice": "cludale_operations.cli.boxoffice:app",
    "guests": "cludale_operations.cli.guests:app",
    "payments": "cludale_operations.cli.payments:app",
    "invoices": "cludale_operations.cli.invoices:app",
    "reports": "cludale_operations.cli.reports:app",
    "privacy": "cludale_operations.cli.privacy:app",
    "notifications": "cludale_operations.cli.notifications:app",
    "webhooks": "cludale_operations.cli.webhooks:app",
    "tickets": "cludale_operations.cli.tickets:app",
    "door": "cludale_operations.cli.door:door",
    "audit": "cludale_operations.cli.audit:app",
    "deadletters": "cludale_operations.cli.dead_letters:app",
    "backup": "cludale_operations.cli.backup:app",
}
"""Command → its module, and there a function, or an app with subcommands; in the order in which help shows them."""

PROOFS = {
    "check": "cludale_proof.checker.command:check",
    "rehearse": "cludale_proof.rehearsal.command:rehearse",
    "simulate": "cludale_proof.simulator.command:simulate",
}
"""The same for what proves the product, which an installation may go without."""


class Commands(TyperGroup):
    """The commands of `cludale`: those, after the ones that its own module has."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the commands, in the order of the help text."""
        return [*(name for name in super().list_commands(ctx) if name not in COMMANDS | PROOFS), *COMMANDS, *PROOFS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, loaded if it has to be."""
        if cmd_name not in self.commands:
            if cmd_name in COMMANDS:
                self.add_command(_command(cmd_name, COMMANDS[cmd_name]), cmd_name)
            elif cmd_name in PROOFS:
                self.add_command(_proof(cmd_name, PROOFS[cmd_name]), cmd_name)
        return super().get_command(ctx, cmd_name)


def _app(**more: Any) -> typer.Typer:
    return typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False, **more)


def _command(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    gc.disable()  # loading makes no garbage, and looking for it takes a sixth of the start
    try:
        found = getattr(import_module(module), attribute)
    finally:
        gc.enable()
    app = _app()
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name)
        return typer.main.get_group(app).commands[name]
    app.command(name)(found)
    return typer.main.get_command(app)


def _proof(name: str, place: str) -> Any:
    try:
        with proof_for(f"cludale {name}"):
            return _command(name, place)
    except ProofMissing as missing:
        why = str(missing)
        anything = {"ignore_unknown_options": True, "allow_extra_args": True}
        app = _app()

        @app.command(name, help="Not installed here.", add_help_option=False, context_settings=anything)
        def refuse() -> None:
            fail(why)

        return typer.main.get_command(app)
