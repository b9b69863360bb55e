"""Whom an order is invoiced to, as the buyer gives it. Personal data: it is kept sealed, and in no event. No I/O."""

from typing import Annotated

import msgspec
from msgspec import Meta

from cludale.kernel.countries import check_country
from cludale.web.fields import Text

Country = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z]{2}$(?!\n)", description="a country, by its code of ISO 3166-1", extra={"check": check_country}
    ),
]
VatId = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 .+*/-]{3,29}$(?!\n)", description="the buyer's VAT id, as they write it"),
]
Postcode = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 -]{0,11}$(?!\n)", description="left out where none is")]


class BillingAddress(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """The postal address that stands on an invoice."""

    name: Annotated[Text, Meta(description="a company, or a person")]
    street: Text
    more: Annotated[Text, Meta(description="what else stands there: a floor, a department")] | None = None
    postcode: Postcode | None = None
    place: Text
    country: Country
    vat_id: VatId | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """As they are written below each other, without the country."""
        place = self.place if self.postcode is None else f"{self.postcode} {self.place}"
        return tuple(each for each in (self.name, self.street, self.more, place) if each)
