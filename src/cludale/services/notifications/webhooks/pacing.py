"""How many requests an endpoint gets at once, from one process: a slow one must not hold the others up. No I/O.

Each delivery that is claimed takes a place at its endpoint. One that finds none is put off to when there probably is
one, so that it is not found due over and over in front of the others.
"""

from collections import defaultdict
from datetime import datetime, timedelta

AT_ONCE = 8
AT_ONCE_IN_TROUBLE = 1
"""How many attempts at once an endpoint gets whose last attempt failed."""
LONGEST_WAIT = timedelta(minutes=2)
_FIRST_GUESS = timedelta(milliseconds=200)
_SHORTEST = timedelta(milliseconds=1)
_WEIGHT = 0.25
"""How much the last attempt counts in how long one is expected to take."""


class _Place:
    """What is under way at one endpoint."""

    def __init__(self) -> None:
        self.claims: dict[str, datetime] = {}
        """Delivery → when its lease ends; one that was never begun, because its claim was not written, ends so."""
        self.takes = _FIRST_GUESS
        self.is_in_trouble = False
        self.next_at: datetime | None = None
        """When the next one is put off to."""
        self.rests_until: datetime | None = None

    def room(self, now: datetime) -> int:
        for id in [id for id, until in self.claims.items() if until <= now]:
            del self.claims[id]
        return (AT_ONCE_IN_TROUBLE if self.is_in_trouble else AT_ONCE) - len(self.claims)


class Pacing:
    """How many deliveries each endpoint takes at once, and when the next may begin."""

    def __init__(self) -> None:
        self._places: defaultdict[str, _Place] = defaultdict(_Place)

    def admit(self, webhook_id: str, delivery_id: str, *, until: datetime, now: datetime) -> datetime | None:
        """Take a place for a lease that ends at `until`; None: taken. Else when to ask again.

        Asked again for the same delivery, it has its place already.
        """
        place = self._places[webhook_id]
        rests = place.rests_until is not None and place.rests_until > now
        if not rests and (delivery_id in place.claims or place.room(now) > 0):
            place.claims[delivery_id] = until
            return None
        begin = place.rests_until if rests and place.rests_until is not None else now
        gap = place.takes / (AT_ONCE_IN_TROUBLE if place.is_in_trouble else AT_ONCE)
        at = max(place.next_at or begin, begin) + gap
        at = max(min(at, now + LONGEST_WAIT), begin + _SHORTEST)
        place.next_at = at
        return at

    def has_place(self, webhook_id: str, delivery_id: str) -> bool:
        """Was a place taken for it, and not left yet?"""
        place = self._places.get(webhook_id)
        return place is not None and delivery_id in place.claims

    def leave(self, webhook_id: str, delivery_id: str, *, took: timedelta, went_well: bool) -> None:
        """An attempt to deliver to this endpoint is over: note how long it took, and how it went."""
        place = self._places[webhook_id]
        place.claims.pop(delivery_id, None)
        place.takes += (max(took, _SHORTEST) - place.takes) * _WEIGHT
        place.is_in_trouble = not went_well
        if went_well:
            place.next_at = None

    def rest(self, webhook_id: str, until: datetime) -> None:
        """It asked for time (429, 502, 503, 504): nothing is sent to it until then."""
        self._places[webhook_id].rests_until = until

    def forget(self, webhook_id: str) -> None:
        """It is switched off, or gone."""
        self._places.pop(webhook_id, None)
