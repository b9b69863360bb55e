"""Twice as many buyers as can be served: those who are let in are served fast, the others are told so at once.

The load comes from this process, on the same machine, whose speed differs by the minute: each rush is compared with
what was served at its peak right before and right after it, and the middle of the ratios counts.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from statistics import mean, median
from time import perf_counter, sleep
from typing import NamedTuple

import httpx
import pytest
import uvloop
from tests.faults.experiment import Faults, Figures, Scale
from tests.faults.judging import settled
from tests.faults.victims import stopped, victim
from tests.served import Served

from cludale.http.http1 import Target
from cludale.rehearsal.load import Load, Tally, at_random

AT_PEAK = (64, 256)
"""Buyers at once, each asking again as soon as they are answered; what is served to the better of these is the peak."""
CONNECTIONS = 1_500
WARM_SECONDS, SETTLED_SECONDS = 2.0, 60.0
RUSHES = 5
"""In how many rushes of too many one buyer is turned away at least once, however few are served on a busy machine."""


class Sold(NamedTuple):
    """What came of some seconds of an on-sale."""

    tally: Tally
    goodput: float
    """Orders a second that were confirmed and brought to their end."""

    def milliseconds(self, status: int, share: float) -> float | None:
        """The latency that `share` of the answers with this status did not exceed."""
        seconds = self.tally.latencies[status].quantile(share) if status in self.tally.latencies else None
        return None if seconds is None else seconds * 1000


class Box:
    """A box office under test."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._target = Target.of(served.url)
        self._names = count()

    def sell(self, seconds: float, *, connections: int, rate: float | None = None) -> Sold:
        """As much as goes, over so many connections; with `rate` so many a second, whether they are answered or not."""
        over = perf_counter() + seconds
        load = Load(
            self._target,
            self._buyers(over),
            connections=connections,
            arrivals=None if rate is None else at_random(rate, seed=1),
        )
        tally = uvloop.run(load.run())
        assert not tally.errors, tally.errors
        assert tally.statuses.keys() <= {201, 503}, tally.statuses
        ended = self._settle()
        return Sold(tally, tally.count(201) / (ended - tally.began))

    def _buyers(self, over: float) -> Iterator[bytes]:
        while perf_counter() < over:
            wish = b'{"concertId":"c","userId":"%d","quantity":1}' % next(self._names)
            yield self._target.request("POST", "/orders", wish)

    def _settle(self) -> float:
        deadline = perf_counter() + SETTLED_SECONDS
        asked = {"status": "Reserved", "limit": "1"}
        while self._served.http.get("/orders", params=asked, headers=self._served.organizer).json()["items"]:
            assert perf_counter() < deadline, "orders are left over"
            sleep(0.02)
        return perf_counter()


@pytest.mark.slow
def test_at_twice_the_rate_that_can_be_served_those_who_are_let_in_are_served_fast(
    tmp_path: Path, scale: Scale, faults: Faults, figures: Figures
) -> None:
    faults.expect("buyer turned away at once (503)")
    rounds, seconds = scale.of_three(1, 2, 9), scale.of_three(2.0, 3.0, 6.0)
    folder = tmp_path / "data"
    ratios, peaks, under_load = [], [], []
    with victim(folder, settings={"CLUDALE_LOG_LEVEL": "error"}) as served:
        served.concert("c", seats=1_000_000)
        box = Box(served)
        box.sell(WARM_SECONDS, connections=AT_PEAK[0])
        served_to = {buyers: box.sell(seconds, connections=buyers).goodput for buyers in AT_PEAK}
        buyers, peak = max(served_to.items(), key=lambda entry: entry[1])
        for _ in range(rounds):
            before, overload = peak, box.sell(seconds, connections=CONNECTIONS, rate=2 * peak)
            peak = box.sell(seconds, connections=buyers).goodput
            peaks.append(mean((before, peak)))
            under_load.append(overload)
            ratios.append(overload.goodput / peaks[-1])
            faults.fire("buyer turned away at once (503)", overload.tally.count(503))
        answer = turned_away(box, served, rate=4 * peak)
        settled(folder)
        stopped(served)
    accepted = median(each.milliseconds(201, 0.99) or 0 for each in under_load)
    refused = median(each.milliseconds(503, 0.5) or 0 for each in under_load)
    late = median(each.milliseconds(503, 0.99) or 0 for each in under_load)
    figures.row(
        "overload",
        peak=round(median(peaks)),
        offered=round(median(each.tally.answered / each.tally.seconds for each in under_load)),
        goodput=round(median(each.goodput for each in under_load)),
        of_the_peak=f"{median(ratios):.0%} ({min(ratios):.0%} to {max(ratios):.0%})",
        accepted_p99_ms=round(accepted),
        refused_p50_ms=round(refused),
        refused_p99_ms=round(late),
    )
    assert answer.headers["retry-after"] == "1"
    # Load, server and everything else on the machine share its cores. What is promised is held to where it is
    # measured for the report; elsewhere it must not break down.
    assert median(ratios) > scale.of_three(0.4, 0.5, 0.9)
    assert accepted < scale.of_three(1_000, 1_000, 500)


def turned_away(box: Box, served: Served, *, rate: float) -> httpx.Response:
    """A 503, as one buyer among too many gets it."""
    for _ in range(RUSHES):
        with ThreadPoolExecutor(1) as crowd:
            selling = crowd.submit(box.sell, 3.0, connections=CONNECTIONS, rate=rate)
            try:
                while not selling.done():
                    wish = {"concertId": "c", "userId": "one", "quantity": 1}
                    answer = served.http.post("/orders", json=wish)
                    if answer.status_code == 503:
                        return answer
            finally:
                selling.result()
    raise AssertionError("nobody was turned away")
