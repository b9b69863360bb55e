"""Three concerts for an empty store, so that a newcomer has something to buy."""

from datetime import datetime, timedelta

from cludale.kernel.money import Money
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import SectionPlan


def demo_concerts(now: datetime, *, max_per_order: int) -> tuple[Concert, ...]:
    """An arena with sections, a small club, and a festival whose on-sale is a week away."""

    def evening(days: int) -> str:
        return (now + timedelta(days=days)).date().isoformat() + "T19:30:00Z"

    def section(id: str, name: str, seats: int, cents: int) -> SectionPlan:
        return SectionPlan(id=id, name=name, total_seats=seats, price=Money(cents, "EUR"))

    return (
        Concert(
            id="demo-arena",
            artist="The Paper Lanterns",
            date=evening(60),
            venue="Harbour Arena, Hamburg",
            sections=(
                section("floor", "Floor", 4_000, 6_500),
                section("lower", "Lower tier", 5_000, 5_500),
                section("upper", "Upper tier", 3_000, 3_900),
            ),
            on_sale_at=None,
            max_per_order=max_per_order,
        ),
        Concert(
            id="demo-club",
            artist="Ada & the Overflows",
            date=evening(14),
            venue="Kellerbar, Vienna",
            sections=(section("general", "General", 120, 1_800),),
            on_sale_at=None,
            max_per_order=4,
        ),
        Concert(
            id="demo-festival",
            artist="Northern Lights Festival",
            date=evening(200),
            venue="Old Airfield, Tartu",
            sections=(section("general", "General", 25_000, 8_900), section("camping", "With camping", 5_000, 12_900)),
            on_sale_at=now.replace(microsecond=0) + timedelta(days=7),
            max_per_order=max_per_order,
        ),
    )
