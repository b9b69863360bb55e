"""What buyers ask for: so many tickets, the best seats, or those that they see free. Encodes; sends nothing."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from random import Random
from typing import Final

import msgspec

from cludale.web.http1 import Target
from cludale_proof.rehearsal import keys
from cludale_proof.rehearsal.hall import Hall
from cludale_proof.rehearsal.organizer import Organizer, SeatsSeen
from cludale_proof.rehearsal.plan import CannotRehearse, Plan

LOOK_SECONDS: Final = 0.25
"""How often those who name seats look which are free."""
WHEELCHAIRS: Final = 0.02
"""The share of parties that ask for a wheelchair place."""


class Orders:
    """The requests of all buyers, one after the other: each sent with a key of its own, if they are."""

    def __init__(self, plan: Plan, target: Target, concert_id: str) -> None:
        self._plan = plan
        self._target = target
        self._concert_id = concert_id
        self._random = Random(plan.seed)  # noqa: S311 - not for secrets
        self._headers = plan.headers | ({"idempotency-key": keys.marked_key()} if plan.with_keys else {})
        self._kinds: dict[tuple[str, int, int], bytes] = {}
        self._methods, self._weights = list(plan.payment_methods), list(plan.payment_methods.values())

    def by_quantity(self) -> Iterator[bytes]:
        """Everybody wants so many tickets. All that a request can vary in is encoded once."""
        for buyer in range(self._plan.buyers):
            method = self._method()
            yield keys.of_buyer(self._kind(method, self._party(), 0), buyer)

    def of_seats(self, hall: Hall, seen: "FreeSeatsSeen", named: set[str]) -> Iterator[bytes]:
        """Some name seats that they see free beside one another; `named` hears who. The others want the best."""
        random, share = self._random, self._plan.naming
        for buyer in range(self._plan.buyers):
            method, size = self._method(), self._party()
            if random.random() < share and (seats := seen.seats(hall, size, random)):
                named.add(f"buyer-{buyer:08d}")
                yield keys.of_buyer(self._encoded(method, {"seats": seats}), buyer)
            else:
                wheelchairs = int(seen.has_places_aside and random.random() < WHEELCHAIRS)
                yield keys.of_buyer(self._kind(method, size, wheelchairs), buyer)

    def _method(self) -> str:
        methods = self._methods
        return methods[0] if len(methods) == 1 else self._random.choices(methods, self._weights)[0]

    def _party(self) -> int:
        most = self._plan.most_tickets
        return 1 if most == 1 else self._random.randint(1, most)

    def _kind(self, method: str, quantity: int, wheelchairs: int) -> bytes:
        kind = method, quantity, wheelchairs
        if kind not in self._kinds:
            wanted: dict[str, object] = {"quantity": quantity}
            if wheelchairs:
                wanted["wheelchairs"] = wheelchairs
            if self._plan.section is not None:
                wanted["section"] = self._plan.section
            self._kinds[kind] = self._encoded(method, wanted)
        return self._kinds[kind]

    def _encoded(self, method: str, wanted: Mapping[str, object]) -> bytes:
        order = {"concertId": self._concert_id, "userId": f"buyer-{keys.NUMBER}", **wanted, "paymentMethod": method}
        return self._target.request("POST", "/orders", msgspec.json.encode(order), self._headers)


class FreeSeatsSeen:
    """Which seats buyers see free: as they were told a moment ago."""

    def __init__(
        self,
        organizer: Organizer,
        concert_id: str,
        only: str | None,
        has_places_aside: bool,  # noqa: FBT001 - a fact
    ) -> None:
        self._organizer = organizer
        self._concert_id = concert_id
        self._only = only
        self._free: dict[str, int] = {}
        self.has_places_aside = has_places_aside
        """Are there wheelchair places?"""

    async def look(self) -> SeatsSeen:
        """Look once."""
        seen = await self._organizer.seats(self._concert_id)
        self._free = {
            each.zone: int.from_bytes(each.free, "little")
            for each in seen.sections
            if self._only in (None, each.id) and each.available_seats
        }
        return seen

    async def keep_looking(self) -> None:
        """Look again and again, until it is cancelled. What can't be seen for once stays as it was."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with suppress(CannotRehearse):
                await self.look()

    def seats(self, hall: Hall, size: int, random: Random) -> list[str]:
        """So many free seats beside one another; none if none are seen."""
        if not self._free:
            return []
        zone = random.choice(list(self._free))
        return list(hall.neighbours(zone, size, self._free[zone], random))
