"""`cludale waiting`: who waits for seats of a concert."""

from typing import Annotated

import typer

from cludale_operations.cli.client import OWN, Json, Server, segment
from cludale_operations.cli.screen import record, table

app = typer.Typer(no_args_is_help=True, help="See who waits for seats of a concert, and take an order off the list.")


@app.command("list")
def list_waiting(
    concert: Annotated[str, typer.Argument(help="The concert's id.")],
    *,
    section: Annotated[str | None, typer.Option(help="Only of this section.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many at most.")] = 1_000,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """List who waits, section by section, the first first."""
    found = list(client.items(f"/concerts/{segment(concert)}/waiting-list", {"section": section}, limit=limit))
    table(found, columns=("orderId", "section", "position", "quantity", "joinedAt"), as_json=json)


@app.command()
def remove(
    order: Annotated[str, typer.Argument(help="The order that waits.")], *, client: Server = OWN, json: Json = False
) -> None:
    """Take an order off the list: it is cancelled, and its buyer is told."""
    record(client.post(f"/orders/{segment(order)}/cancel", None), as_json=json)
