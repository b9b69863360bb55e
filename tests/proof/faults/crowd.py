"""Buyers at the door of a server, of every kind, and all that they were told: what a server is held to afterwards.

What buyer number n wants follows from the seed and n, and each says who it is: so an answer tells what was asked.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

import msgspec
from tests.served import Served

from cludale.web.http1 import Target
from cludale_proof.checker import Credential, Observation
from cludale_proof.rehearsal.load import Load, Tally

METHODS = {"card-ok": 75, "card-declined": 8, "card-slow": 5, "card-flaky": 6, "card-timeout-after-charge": 6}
WATCH_SECONDS = 0.01


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    """As much of an answer as tells what it is about."""

    id: str | None = None
    user_id: str = ""
    status: str | int = ""
    access_token: str | None = None


class _Problem(msgspec.Struct):
    type: str
    detail: str = ""


class BuyerRequest(NamedTuple):
    """What one buyer asks for."""

    body: str
    key: str | None
    regrets: bool
    """Cancels once the order was confirmed."""
    hesitates: int
    """Before that so many others ask."""
    is_pried_on: bool
    """Others try to see the order, with their own token and with none."""


class Crowd:
    """Buyers who come in rushes, each once."""

    def __init__(
        self,
        concerts: Sequence[str],
        *,
        seed: int,
        most_tickets: int = 4,
        methods: dict[str, int] | None = None,
        keyed: float = 0.4,
        regretting: float = 0.15,
        hesitating: int = 0,
        pried_on: float = 0.0,
    ) -> None:
        """`keyed` send an idempotency key, `regretting` cancel, `pried_on` are looked at by strangers.

        Who cancels does so at once, or when some others have asked: `hesitating` at most.
        `methods`: payment methods by weight.
        """
        self.observations: list[Observation] = []
        self.accepted: dict[str, str] = {}
        """The orders that were confirmed to their buyers: the answer, by order id."""
        self.statuses: Counter[int] = Counter()
        self.refusals: Counter[str] = Counter()
        """What those who got nothing were told."""
        self.errors: Counter[str] = Counter()
        self.came = 0
        self.concerts = list(concerts)
        """Where those who come from now on want to go."""
        self._seed = seed
        self._most_tickets = most_tickets
        self._methods = methods or METHODS
        self._keyed = keyed
        self._regretting = regretting
        self._hesitating = hesitating
        self._pried_on = pried_on
        self._asked = 0
        self._errands: list[tuple[int, bytes]] = []
        """A heap: what is asked for once so many requests were sent."""
        self._private: set[str] = set()
        """The orders that strangers asked for, and nobody else."""
        self._strangers_token = ""
        self._requests_by_number: dict[int, BuyerRequest] = {}
        self._decoder = msgspec.json.Decoder(_Answer)
        self._problems = msgspec.json.Decoder(_Problem)

    def wanted(self, number: int) -> BuyerRequest:
        """What buyer `number` asks for, whenever asked."""
        known = self._requests_by_number.get(number)
        if known is None:
            known = self._requests_by_number[number] = self._request(Random(f"{self._seed}/{number}"), number)
        return known

    def _request(self, random: Random, number: int) -> BuyerRequest:
        body = msgspec.json.encode(
            {
                "concertId": random.choice(self.concerts),
                "userId": f"buyer-{number}",
                "quantity": random.randint(1, self._most_tickets),
                "paymentMethod": random.choices(list(self._methods), list(self._methods.values()))[0],
            }
        )
        key = f"key-{self._seed}-{number}" if random.random() < self._keyed else None
        regrets = random.random() < self._regretting
        is_pried_on = not regrets and random.random() < self._pried_on
        return BuyerRequest(body.decode(), key, regrets, random.randint(0, self._hesitating), is_pried_on)

    def rush(self, served: Served, count: int, *, connections: int = 32) -> Tally:
        """`count` more buyers at once, until all are answered or the server is dead."""
        return self._send(served, self._new(count), connections)

    def ask_again(self, served: Served, *, connections: int = 32) -> Tally:
        """Everyone who has a key comes once more with it, whether they were answered or not."""
        return self._send(served, (n for n in range(self.came) if self.wanted(n).key is not None), connections)

    def _new(self, count: int) -> Iterator[int]:
        for number in range(self.came, self.came + count):
            self.came = number + 1
            yield number

    def _send(self, served: Served, numbers: Iterator[int], connections: int) -> Tally:
        tally = asyncio.run(self._sent(served, numbers, connections))
        self.statuses.update(tally.statuses)
        self.errors.update(tally.errors)
        return tally

    async def _sent(self, served: Served, numbers: Iterator[int], connections: int) -> Tally:
        target = Target.of(served.url)
        load = Load(
            target,
            self._requests(target, numbers),
            connections=connections,
            timeout_seconds=30,
            hear=lambda status, body: self._hear(target, status, body),
        )
        watch = asyncio.create_task(_stop_when(load, lambda: served.process.poll() is not None))
        try:
            return await load.run()
        finally:
            watch.cancel()

    def _requests(self, target: Target, numbers: Iterator[int]) -> Iterator[bytes]:
        for number in numbers:
            while self._errands and self._errands[0][0] <= self._asked:
                yield heappop(self._errands)[1]
            wanted = self.wanted(number)
            headers = {} if wanted.key is None else {"idempotency-key": wanted.key}
            self._asked += 1
            yield target.request("POST", "/orders", wanted.body.encode(), headers)
        while self._errands:
            yield heappop(self._errands)[1]

    def _hear(self, target: Target, status: int, body: bytes) -> None:
        if not 200 <= status < 300:
            problem = self._problems.decode(body)
            self.refusals[f"{status} {problem.type.rpartition('/')[2]}: {problem.detail if status > 499 else '…'}"] += 1
            return
        answer, text = self._decoder.decode(body), body.decode()
        assert answer.id is not None, text
        if answer.id in self._private and answer.access_token is None:
            path = f"/orders/{answer.id}"
            self.observations.append(
                Observation(method="GET", path=path, status=status, body=text, credential=Credential.OTHER)
            )
            return
        if answer.access_token is None:
            self.observations.append(
                Observation(method="POST", path=f"/orders/{answer.id}/cancel", status=status, body=text)
            )
            return
        wanted = self.wanted(int(answer.user_id.removeprefix("buyer-")))
        self.observations.append(
            Observation(method="POST", path="/orders", status=status, body=text, request=wanted.body, key=wanted.key)
        )
        if status == 201 and answer.id not in self.accepted:
            self.accepted[answer.id] = text
            if wanted.regrets:
                token = {"authorization": f"Bearer {answer.access_token}"}
                cancel = target.request("POST", f"/orders/{answer.id}/cancel", b"", token)
                heappush(self._errands, (self._asked + wanted.hesitates, cancel))
            elif wanted.is_pried_on:
                self._private.add(answer.id)
                for headers in ({}, {"authorization": f"Bearer {self._strangers_token}"}):
                    heappush(self._errands, (self._asked, target.request("GET", f"/orders/{answer.id}", b"", headers)))
            self._strangers_token = answer.access_token


async def _stop_when(load: Load, condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for has no event to wait on
        await asyncio.sleep(WATCH_SECONDS)
    load.stop()
