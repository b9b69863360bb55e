"""`cludale orders`: place orders and look at them, change them, give back parts of them, and cancel them."""

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import typer

from cludale.kernel.currencies import minor_digits
from cludale_operations.cli import carts
from cludale_operations.cli.client import OWN, Json, Server, segment
from cludale_operations.cli.concerts import counts, price_of
from cludale_operations.cli.options import filling
from cludale_operations.cli.reports import To, Which, format_of, save
from cludale_operations.cli.screen import CANNOT, fail, note, record, say, table
from cludale_operations.cli.wanted import Wanted

app = typer.Typer(
    no_args_is_help=True, help="Place orders, look at them, change them, and cancel all or a part of them."
)
app.add_typer(carts.app, name="carts")

Id = Annotated[str, typer.Argument(help="The order's id.")]


@app.command()
@filling(Wanted)
def place(
    concert: Annotated[str, typer.Argument(help="The concert's id.")],
    *,
    options: Wanted,
    max_total: Annotated[str | None, typer.Option(help="All of it may cost so much at most: 90.00EUR.")] = None,
    method: Annotated[str, typer.Option(help="The payment provider's name for how it is paid.")] = "card-ok",
    user: Annotated[str, typer.Option(help="What you call the buyer.")] = "me",
    wait: Annotated[float, typer.Option(min=0, max=30, help="Seconds to wait for Paid or Cancelled at most.")] = 0,
    key: Annotated[
        str | None, typer.Option(help="Idempotency-Key: given twice, it is one order. Default: a new one.")
    ] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Place an order, as a buyer does.

    It shows the order's id, and the access token with which a buyer sees, pays and cancels it: keep that secret.
    """
    own = {"concertId": concert, "userId": user, "paymentMethod": method}
    body = {**own, "maxTotal": None if max_total is None else price_of(max_total), **options.body()}
    key = key or str(uuid4())
    try:
        placed = client.post("/orders", body, key=key)
    except SystemExit as ended:
        if ended.code == CANNOT:
            note(f"Whether it was placed is not known. Sent again with --key {key}, it is one order.")
        raise
    token = placed["accessToken"]
    if wait:
        placed = client.get(f"/orders/{segment(placed['id'])}", {"wait": f"{wait:.3f}"}, token=token)
    record({**placed, "accessToken": token}, as_json=json)


@app.command()
def show(
    id: Id,
    *,
    wait: Annotated[float, typer.Option(min=0, max=30, help="Seconds to wait for Paid or Cancelled at most.")] = 0,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Show an order, its payment and what the buyer was told."""
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
    email: Annotated[str | None, typer.Option(help="Only with this e-mail address.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Only those whose buyer has this name; the beginning of each word will do.")
    ] = None,
    id: Annotated[str | None, typer.Option(help="Only those whose id begins so.")] = None,
    since: Annotated[str | None, typer.Option(help="Placed at this time or later: 2027-06-05T19:30:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Placed before this time.")] = None,
    latest_first: Annotated[bool, typer.Option("--latest-first", help="The latest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many at most.")] = 50,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """List orders, or search them."""
    wanted = {
        "concertId": concert,
        "status": status,
        "userId": user,
        "email": email,
        "name": name,
        "idPrefix": id,
        "since": since,
        "until": until,
        "sort": "-createdAt" if latest_first else None,
    }
    orders = list(client.items("/orders", wanted, limit=limit))
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
@filling(Which)
def export(
    to: To,
    *,
    options: Which,
    status: Annotated[str | None, typer.Option(help="Only these: Pending, Reserved, Paid or Cancelled.")] = None,
    columns: Annotated[str | None, typer.Option(help="Which columns, separated by commas. Default: all.")] = None,
    buyers: Annotated[
        bool, typer.Option("--buyers", help="With name, address and comment; for keys with the scope `privacy`.")
    ] = False,
    client: Server = OWN,
) -> None:
    """Write orders to a CSV or XLSX file, as its name ends.

    Each order that there is when it begins is in it once. The file is there once it is whole.
    """
    path = "/orders/export/personal" if buyers else "/orders/export"
    wanted = {**msgspec.to_builtins(options), "status": status, "columns": columns, "format": format_of(to)}
    save(client, path, wanted, to)


@app.command()
def cancel(id: Id, *, client: Server = OWN, json: Json = False) -> None:
    """Cancel an order as the organizer: its seats and its money go back. Cancelled again, it stays as it is."""
    record(client.post(f"/orders/{segment(id)}/cancel", None), as_json=json)


@app.command()
def refund(
    id: Id,
    *,
    tickets: Annotated[
        str | None,
        typer.Option(help="Give so many tickets back: 2; where the order has several categories, adult=1,child=1."),
    ] = None,
    amount: Annotated[str | None, typer.Option(help="Give money only, in the order's currency: 10.00.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; needed with --amount. Only organizers see it.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key: given twice, it is one refund.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Give a part of a paid order back: some tickets and what was paid for them, or money only."""
    if (tickets is None) is (amount is None):
        fail("say either --tickets or --amount")
    body: dict[str, Any] = {"reason": reason}
    if tickets is not None and tickets.isdecimal():
        body["quantity"] = int(tickets)
    elif tickets is not None:
        body["tickets"] = counts(tickets)
    if amount is not None:
        total = client.get(f"/orders/{segment(id)}")["total"]
        if total is None:
            fail(f"order {id} has no price yet, so it was not paid")
        body["amount"] = {"amount": _minor_units(amount, total["currency"]), "currency": total["currency"]}
    record(client.post(f"/orders/{segment(id)}/refunds", body, key=key), as_json=json)


def _minor_units(text: str, currency: str) -> int:
    """`10.00` EUR as 1000; ends the program with one line for what is no amount of this currency."""
    digits = minor_digits(currency)
    try:
        units = Decimal(text).scaleb(digits)
    except InvalidOperation:
        units = Decimal(0)
    if not units.is_finite() or units != units.to_integral_value() or units <= 0:
        fail(f"{text!r} is no amount in {currency}: write it as {'10.' + '0' * digits if digits else '10'}")
    return int(units)


@app.command()
def change(
    id: Id,
    *,
    name: Annotated[str | None, typer.Option(help="The buyer's name; empty takes it away.")] = None,
    email: Annotated[str | None, typer.Option(help="The buyer's e-mail address; empty takes it away.")] = None,
    phone: Annotated[str | None, typer.Option(help="The buyer's phone number; empty takes it away.")] = None,
    comment: Annotated[str | None, typer.Option(help="Your own note; empty takes it away.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Change the buyer's name or address, or your note on the order."""
    given = {"name": name, "email": email, "phone": phone, "comment": comment}
    body = {field: value or None for field, value in given.items() if value is not None}
    if not body:
        fail("say what to change: --name, --email, --phone or --comment")
    record(client.patch(f"/orders/{segment(id)}", body), as_json=json)


@app.command()
def resend(id: Id, *, client: Server = OWN, json: Json = False) -> None:
    """Send the confirmation of a paid order again, to the address that it has now."""
    record(client.post(f"/orders/{segment(id)}/resend", None), as_json=json)
