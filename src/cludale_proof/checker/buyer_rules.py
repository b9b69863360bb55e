"""The rule of a buyer: no more tickets of a concert than its `maxPerBuyer`, whatever they are known by.

Counted from the orders and the reservations alone, at every instant: a hold counts until its end is stored, for until
then somebody might sell it. How the product counts is of no concern here; but who is the same buyer by e-mail address
or number, a store says by keyed hashes only, those under which concerts keeps what is claimed. So there the seats are
counted here, and that two addresses are one is believed. Who can open what is sealed (the simulator) tells the
addresses themselves, and nothing is believed.
"""

from collections.abc import Iterable, Iterator

from cludale_proof.checker.documents import Allowance, Order, Reservation
from cludale_proof.checker.findings import Invariant, Violation

_LIVE = ("Held", "Sold")
_HASHED = ("email", "phone")

Buyer = tuple[str, str, str]
"""Concert, what the buyer is known by, and that itself, folded."""


class BuyerTally:
    """What every buyer has of the concerts that have a limit. Told of each change, in any order."""

    def __init__(self) -> None:
        self._limits: dict[str, int] = {}
        self._buyers: dict[str, tuple[Buyer, ...]] = {}
        """By order."""
        self._had: dict[str, dict[str, int]] = {}
        """By order: the seats of its live reservations."""
        self._has: dict[Buyer, int] = {}
        self._claimed: dict[str, list[Buyer]] = {}
        """By reservation: the hashes under which it is claimed."""

    def concert(self, id: str, limit: int | None) -> None:
        """A concert has this limit."""
        if limit is not None:
            self._limits[id] = limit

    def allowance(self, allowance: Allowance) -> None:
        """By e-mail address and number, who has what. By `userId` the orders say it."""
        concert, _, key = allowance.id.partition(":")
        by = key.partition("-")[0]
        if concert in self._limits and by in _HASHED and len(allowance.claims) > 1:  # of one alone `maxPerOrder` says
            for reservation in allowance.claims:
                self._claimed.setdefault(reservation, []).append((concert, by, key))

    def order(self, order: Order) -> Iterator[Violation]:
        """An order is there."""
        if order.concert_id not in self._limits or order.id in self._buyers:
            return
        buyers = self._buyers[order.id] = _buyers(order)
        yield from self._add(order.id, buyers, sum(self._had.get(order.id, {}).values()))

    def reservation(self, reservation: Reservation) -> Iterator[Violation]:
        """A reservation is as it is now."""
        id = reservation.order_id
        if id is None or reservation.concert_id not in self._limits:
            return
        seats = self._had.setdefault(id, {})
        before = seats.get(reservation.id, 0)
        now = reservation.kept if reservation.status in _LIVE else 0
        seats[reservation.id] = now
        yield from self._add(id, self._buyers.get(id, ()), now - before)

    def count(self, order: Order, reservations: Iterable[Reservation]) -> Iterator[Violation]:
        """An order with all of its reservations; nothing of it is kept but what its buyers have by now."""
        if order.concert_id in self._limits:
            live = [each for each in reservations if each.status in _LIVE]
            yield from self._add(order.id, _buyers(order), sum(each.kept for each in live))
            for each in live:
                yield from self._add(order.id, self._claimed.get(each.id, ()), each.kept)

    def _add(self, order_id: str, buyers: Iterable[Buyer], seats: int) -> Iterator[Violation]:
        for buyer in buyers:
            has = self._has[buyer] = self._has.get(buyer, 0) + seats
            limit = self._limits[buyer[0]]
            if seats > 0 and has > limit:
                detail = f"with it, the buyer known by {buyer[1]} has {has} tickets of {buyer[0]}, and may have {limit}"
                yield Violation(
                    invariant=Invariant.WITHIN_LIMITS,
                    rule="buyer-over-the-limit",
                    subject=f"order {order_id}",
                    detail=detail,
                    order_id=order_id,
                )


def _buyers(order: Order) -> tuple[Buyer, ...]:
    if order.till is not None:  # at the box office nobody's tickets are counted
        return ()
    known = {"user": order.user_id, "email": _email(order.email), "phone": _phone(order.phone)}
    return tuple((order.concert_id, by, text) for by, text in known.items() if text is not None)


def _email(text: str | None) -> str | None:
    """A mailbox, without case and tag."""
    if text is None or "@" not in text:
        return None
    local, domain = text.casefold().rsplit("@", 1)
    return f"{local.split('+')[0] or local}@{domain}"


def _phone(text: str | None) -> str | None:
    """The digits, with the country code as `+` has it."""
    if text is None:
        return None
    digits = "".join(filter(str.isdigit, text.replace("(0)", "")))
    return digits.removeprefix("00")
