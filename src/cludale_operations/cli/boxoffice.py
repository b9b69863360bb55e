"""`cludale boxoffice`: sell tickets for cash or by a card terminal, or give them away."""

from typing import Annotated, Any

import typer

from cludale_operations.cli import wanted
from cludale_operations.cli.client import OWN, Json, Server, segment
from cludale_operations.cli.invoices import InvoiceTo, billing_address
from cludale_operations.cli.screen import fail, record

app = typer.Typer(no_args_is_help=True, help="Sell tickets at the box office: for cash, by card terminal, for nothing.")

PATIENCE_SECONDS = 10
"""How long it is waited for that an order is Paid."""


@app.command()
def sell(
    concert: Annotated[str, typer.Argument(help="The concert's id.")],
    *,
    method: Annotated[str, typer.Option(help="cash, terminal or complimentary.")] = "cash",
    quantity: wanted.Quantity = None,
    tickets: wanted.Tickets = None,
    section: wanted.Section = None,
    seat: wanted.Seats = None,
    code: wanted.Code = None,
    receipt: Annotated[str | None, typer.Option(help="The card terminal's own reference.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why they are complimentary. Only organizers see it.")] = None,
    any_time: Annotated[
        bool, typer.Option("--any-time", help="Also before the sale begins and after it ends.")
    ] = False,
    block: Annotated[str | None, typer.Option(help="Out of this block of seats that are held back.")] = None,
    name: wanted.Name = None,
    email: wanted.Email = None,
    phone: wanted.Phone = None,
    invoice_to: InvoiceTo = None,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key: given twice, it is one sale.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Sell tickets, and wait until they are paid.

    Take the money once it says Paid; `cludale tickets print ORDER` prints the tickets.
    """
    body: dict[str, Any] = {
        "concertId": concert,
        **wanted.tickets_of(quantity, tickets, seat),
        "method": method,
        "section": section,
        "code": code,
        "receipt": receipt,
        "reason": reason,
        "anyTime": any_time,
        "name": name,
        "email": email,
        "phone": phone,
    }
    if block is not None:
        body["block"] = block
    if invoice_to:
        body["billingAddress"] = billing_address(invoice_to)
    placed = client.post("/orders/box-office", body, key=key)
    # With the order's own token: a seller's key need not have the scope `read`.
    token, wait = placed["accessToken"], {"wait": str(PATIENCE_SECONDS)}
    order = client.get(f"/orders/{segment(placed['id'])}", wait, token=token)
    record({**order, "accessToken": token}, as_json=json)
    if order["status"] != "Paid":
        fail(f"order {order['id']} is {order['status']} and not Paid: take no money, or look again")
