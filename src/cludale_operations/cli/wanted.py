"""What is bought, and for whom: the options of `orders place` and `boxoffice sell`, as the API takes them."""

from typing import Annotated, Any

import msgspec
import typer

from cludale_operations.cli.concerts import counts
from cludale_operations.cli.invoices import InvoiceTo, billing_address


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Tickets, and their buyer."""

    quantity: Annotated[int | None, typer.Option(min=1, help="How many tickets. Default: 1, or as many as seats.")] = (
        None
    )
    tickets: Annotated[str | None, typer.Option(help="Which, by category: adult=2,child=1.")] = None
    section: Annotated[str | None, typer.Option(help="Where. Default: the cheapest with room.")] = None
    seat: Annotated[
        list[str] | None, typer.Option(help="The id of a numbered seat; give one for each. Default: the best together.")
    ] = None
    code: Annotated[str | None, typer.Option(help="A discount code.")] = None
    name: Annotated[str | None, typer.Option(help="The buyer's name.")] = None
    email: Annotated[str | None, typer.Option(help="Where the tickets are sent, if anywhere.")] = None
    phone: Annotated[str | None, typer.Option(help="A number that is told.")] = None
    invoice_to: InvoiceTo = None

    def body(self) -> dict[str, Any]:
        """What of it is said; how many tickets always is."""
        of = None if self.tickets is None else counts(self.tickets)
        count = len(self.seat or ()) or 1 if of is None else sum(each["quantity"] for each in of)
        said = {
            "quantity": self.quantity or count,
            "tickets": of,
            "section": self.section,
            "seats": self.seat or None,
            "code": self.code,
            "name": self.name,
            "email": self.email,
            "phone": self.phone,
            "billingAddress": billing_address(self.invoice_to) if self.invoice_to else None,
        }
        return {name: value for name, value in said.items() if value is not None}
