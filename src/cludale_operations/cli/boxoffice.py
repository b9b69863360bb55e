"""`cludale boxoffice`: sell tickets for cash or by a card terminal, or give them away."""

from typing import Annotated

import typer

from cludale_operations.cli.client import OWN, Json, Server, segment
from cludale_operations.cli.options import filling
from cludale_operations.cli.screen import fail, record
from cludale_operations.cli.wanted import Wanted

app = typer.Typer(no_args_is_help=True, help="Sell tickets at the box office: for cash, by card terminal, for nothing.")

PATIENCE_SECONDS = 10
"""How long it is waited for that an order is Paid."""


@app.command()
@filling(Wanted)
def sell(
    concert: Annotated[str, typer.Argument(help="The concert's id.")],
    *,
    method: Annotated[str, typer.Option(help="cash, terminal or complimentary.")] = "cash",
    options: Wanted,
    receipt: Annotated[str | None, typer.Option(help="The card terminal's own reference.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why they are complimentary. Only organizers see it.")] = None,
    any_time: Annotated[
        bool, typer.Option("--any-time", help="Also before the sale begins and after it ends.")
    ] = False,
    block: Annotated[str | None, typer.Option(help="Out of this block of seats that are held back.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key: given twice, it is one sale.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Sell tickets, and wait until they are paid.

    Take the money once it says Paid; `cludale tickets print ORDER` prints the tickets.
    """
    own = {"concertId": concert, "method": method, "receipt": receipt, "reason": reason, "anyTime": any_time}
    body = {**own, **options.body(), **({} if block is None else {"block": block})}
    placed = client.post("/orders/box-office", body, key=key)
    # With the order's own token: a seller's key need not have the scope `read`.
    token, wait = placed["accessToken"], {"wait": str(PATIENCE_SECONDS)}
    order = client.get(f"/orders/{segment(placed['id'])}", wait, token=token)
    record({**order, "accessToken": token}, as_json=json)
    if order["status"] != "Paid":
        fail(f"order {order['id']} is {order['status']} and not Paid: take no money, or look again")
