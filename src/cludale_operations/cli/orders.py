"""`cludale orders`: look at orders, and cancel them."""

from typing import Annotated

import typer

from cludale_operations.cli.client import Client, Json, Url, segment
from cludale_operations.cli.screen import record, say, table

app = typer.Typer(no_args_is_help=True, help="Look at orders, and cancel them.")

Id = Annotated[str, typer.Argument(help="The order's id.")]


@app.command()
def show(
    id: Id,
    *,
    wait: Annotated[float, typer.Option(min=0, max=30, help="Seconds to wait for Paid or Cancelled at most.")] = 0,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show an order, its payment and what the buyer was told."""
    with Client(url) as client:
        order = client.get(f"/orders/{segment(id)}", {"wait": f"{wait:.3f}"} if wait else None)
        payments = list(client.items("/payments", {"orderId": id}, limit=10))
        told = list(client.items("/notifications", {"orderId": id}, limit=10))
    if json:
        record({**order, "payments": payments, "notifications": told}, as_json=True)
        return
    record(order, as_json=False)
    say("\nPayment")
    table(
        [{**payment, "attempts": len(payment["attempts"])} for payment in payments],
        columns=("id", "status", "amount", "method", "attempts"),
        as_json=False,
    )
    say("\nTold")
    table(told, columns=("id", "kind", "channel", "status", "sentAt"), as_json=False)


@app.command("list")
def list_orders(
    *,
    concert: Annotated[str | None, typer.Option(help="Only of this concert.")] = None,
    status: Annotated[str | None, typer.Option(help="Only these: Pending, Reserved, Paid or Cancelled.")] = None,
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many at most.")] = 50,
    url: Url = None,
    json: Json = False,
) -> None:
    """List orders."""
    with Client(url) as client:
        orders = list(client.items("/orders", {"concertId": concert, "status": status, "userId": user}, limit=limit))
    table(
        orders if json else [{**order, "payment": (order.get("payment") or {}).get("status")} for order in orders],
        columns=(
            "id",
            "concertId",
            "userId",
            "section",
            "quantity",
            "status",
            "payment",
            "reason",
            "total",
            "createdAt",
        ),
        as_json=json,
    )


@app.command()
def cancel(id: Id, *, url: Url = None, json: Json = False) -> None:
    """Cancel an order as the organizer: its seats and its money go back. Cancelled again, it stays as it is."""
    with Client(url) as client:
        record(client.post(f"/orders/{segment(id)}/cancel", None), as_json=json)
