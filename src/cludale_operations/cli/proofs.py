"""`cludale check`, `rehearse`, `simulate`: the commands of what proves the product, loaded when asked for."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from cludale_operations.cli.screen import fail
from cludale_operations.proof import ProofMissing, proof_for

PROOFS = {
    "check": "cludale_proof.checker.command",
    "rehearse": "cludale_proof.rehearsal.command",
    "simulate": "cludale_proof.simulator.command",
}
"""Command → the module with the function of that name."""


class Commands(TyperGroup):
    """The commands of `cludale`, with those."""

    def list_commands(self, ctx: Any) -> list[str]:
        """As they were added; those last."""
        return [*(name for name in super().list_commands(ctx) if name not in PROOFS), *PROOFS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, loaded if it has to be."""
        if cmd_name in PROOFS and cmd_name not in self.commands:
            self.add_command(_loaded(cmd_name), cmd_name)
        return super().get_command(ctx, cmd_name)


def _loaded(name: str) -> Any:
    app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)
    try:
        with proof_for(f"cludale {name}"):
            module = import_module(PROOFS[name])
    except ProofMissing as missing:
        why = str(missing)
        anything = {"ignore_unknown_options": True, "allow_extra_args": True}

        @app.command(name, help="Not installed here.", add_help_option=False, context_settings=anything)
        def refuse() -> None:
            fail(why)
    else:
        app.command(name)(getattr(module, name))
    return typer.main.get_command(app)
