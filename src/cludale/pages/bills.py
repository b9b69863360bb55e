"""An order's bill as pages read it of the API's answers, for buyers and organizers alike."""

import msgspec

from cludale.kernel.money import Money


class Line(msgspec.Struct, frozen=True):
    """The tickets of one category."""

    category: str
    name: str
    quantity: int
    price: int


class Fee(msgspec.Struct, frozen=True):
    """A fee in a bill."""

    name: str
    amount: int


class Bill(msgspec.Struct, frozen=True, rename="camel"):
    """What an order costs, in minor units of the currency."""

    currency: str
    lines: tuple[Line, ...]
    discount: int = 0
    tax: int = 0
    fees: tuple[Fee, ...] = ()
    tax_name: str = ""
    tax_included: bool = True

    def money(self, amount: int) -> Money:
        """An amount of it."""
        return Money(amount, self.currency)
