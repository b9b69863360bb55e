"""Many buyers at once, through the load generator that rehearsals use."""

import asyncio
from collections.abc import Callable, Iterator
from random import Random

import msgspec

from cludale.web.http1 import Target
from cludale_proof.rehearsal.load import Load, Tally

METHODS = ("card-ok",) * 6 + ("card-declined", "card-flaky", "card-timeout-after-charge", "card-slow")

Heard = list[tuple[int, bytes]]


def requests_of(url: str, concert: str, buyers: int, *, seed: int | None = None) -> Iterator[bytes]:
    """A request each buyer: one ticket by card; with a seed, up to three and every method."""
    target, random = Target.of(url), Random(seed)
    for buyer in range(buyers):
        wanted = {"concertId": concert, "userId": f"user-{buyer}", "quantity": 1}
        if seed is not None:
            wanted |= {"quantity": random.randint(1, 3), "paymentMethod": random.choice(METHODS)}
        yield target.request("POST", "/orders", msgspec.json.encode(wanted), {"content-type": "application/json"})


def rush(
    url: str, requests: Iterator[bytes], *, after: tuple[float, Callable[[], None]] | None = None
) -> tuple[Tally, Heard]:
    """Send them over 64 connections and collect the answers; `after` so many seconds, do that and send no more.

    The seconds begin with the first answer: so there is one, however slow the machine is.
    """
    heard: Heard = []

    async def run() -> Tally:
        def hear(status: int, body: bytes) -> None:
            if after is not None and not heard:
                asyncio.get_running_loop().call_later(after[0], interrupt, after[1])
            heard.append((status, body))

        def interrupt(act: Callable[[], None]) -> None:
            act()
            load.stop()

        load = Load(Target.of(url), requests, connections=64, timeout_seconds=30, hear=hear)
        return await load.run()

    return asyncio.run(run()), heard
