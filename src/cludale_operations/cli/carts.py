"""`cludale orders carts`: look at carts, pay and cancel them."""

from typing import Annotated

import typer

from cludale_operations.cli.client import OWN, Json, Server, segment
from cludale_operations.cli.screen import record, say, table

app = typer.Typer(no_args_is_help=True, help="Carts: several orders that were placed and charged together.")

Id = Annotated[str, typer.Argument(help="The cart's id: cart-….")]


@app.command()
def show(
    id: Id,
    *,
    wait: Annotated[float, typer.Option(min=0, max=30, help="Seconds to wait for Paid or Cancelled at most.")] = 0,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Show a cart and its lines, each of which is an order."""
    cart = client.get(f"/orders/carts/{segment(id)}", {"wait": f"{wait:.3f}"} if wait else None)
    if json:
        record(cart, as_json=True)
        return
    record({name: value for name, value in cart.items() if name != "lines"}, as_json=False)
    say("\nLines")
    lines = [{**line, "payment": (line.get("payment") or {}).get("status")} for line in cart["lines"]]
    columns = ("id", "concertId", "section", "quantity", "status", "payment", "total")
    table(lines, columns=columns, as_json=False)


@app.command()
def cancel(id: Id, *, client: Server = OWN, json: Json = False) -> None:
    """Cancel all of it as the organizer: seats and money go back. Cancelled again, it stays as it is."""
    record(client.post(f"/orders/carts/{segment(id)}/cancel", None), as_json=json)


@app.command()
def pay(
    id: Id,
    *,
    method: Annotated[str, typer.Option(help="The payment provider's name for how it is paid.")] = "card-ok",
    key: Annotated[str | None, typer.Option(help="Idempotency-Key: given twice, it is one charge.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Charge all of it anew, in another way, after a charge that failed; while its seats are held."""
    body = {"paymentMethod": method}
    record(client.post(f"/orders/carts/{segment(id)}/payment", body, key=key), as_json=json)
