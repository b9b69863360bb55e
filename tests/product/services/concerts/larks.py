"""The concert of these tests: The Larks, with the sections that a test names."""

from typing import Any

from cludale.kernel.money import Money
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import SectionPlan

PRICE = Money(4500, "EUR")


def plan_of(id: str, seats: int, price: Money = PRICE, **more: Any) -> SectionPlan:
    """A section, called by its id."""
    return SectionPlan(id=id, name=id.capitalize(), total_seats=seats, price=price, **more)


def concert_of(*sections: SectionPlan, **more: Any) -> Concert:
    """With these sections; `more` are its other fields."""
    usual: dict[str, Any] = {"date": "2027-06-05", "venue": None, "on_sale_at": None, "max_per_order": 8}
    return Concert(id="concert-1", artist="The Larks", sections=sections, **{**usual, **more})
