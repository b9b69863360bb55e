"""The machine's clock jumps, forward and back, under a server in the middle of an on-sale (libfaketime).

Holds end early or late, and nothing else may come of it: seats are never had twice, and no money stays for nothing.
What waits and times out goes by the monotonic clock, which no one can set, so that one is left alone here, too.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from random import Random
from threading import Event, Thread
from time import monotonic

import pytest
from tests.parts import need
from tests.patience import eventually
from tests.proof.faults.crowd import Crowd
from tests.proof.faults.experiment import Faults, Figures, Scale
from tests.proof.faults.judging import events, lost, rows, safe, settled
from tests.proof.faults.victims import HASTE, stopped, victim
from tests.served import Served

HOLD_SECONDS = float(HASTE["CLUDALE_HOLD_SECONDS"])
FURTHEST_SECONDS = 20
SKEW = timedelta(seconds=2 * FURTHEST_SECONDS + 1)
BETWEEN_JUMPS_SECONDS = 1.3
"""libfaketime looks once a second; each time would make the server ten times as slow."""
RELEASED = "SELECT 1 FROM concerts_reservation WHERE body ->> 'releasedFor' = 'hold-expired'"


def faketime(offset: Path) -> Sequence[str]:
    """The command that goes before the server's to have its clock be off by what `offset` says, for `victim`."""
    return (
        "env",
        f"LD_PRELOAD={need('libfaketime')}",
        f"FAKETIME_TIMESTAMP_FILE={offset}",
        "FAKETIME_CACHE_DURATION=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
    )


class MachineClock:
    """The clock of the machine that the server believes to be on."""

    def __init__(self, offset: Path) -> None:
        self._offset = offset
        self.set(0)

    def set(self, seconds: float) -> None:
        """Be off by so much from here on."""
        draft = self._offset.with_suffix(".new")
        draft.write_text(f"{seconds:+.3f}\n")
        draft.replace(self._offset)

    @contextmanager
    def jumping(self, random: Random, faults: Faults, forward: str, back: str) -> Iterator[None]:
        """It jumps every now and then; in the end it is right again."""
        over = Event()

        def jump() -> None:
            for name, direction in cycle({forward: 1, back: -1}.items()):
                if over.wait(BETWEEN_JUMPS_SECONDS):
                    return
                self.set(direction * random.uniform(HOLD_SECONDS, FURTHEST_SECONDS))
                faults.fire(name)

        jumper = Thread(target=jump)
        jumper.start()
        try:
            yield
        finally:
            over.set()
            jumper.join()
            self.set(0)


@pytest.mark.timeout(400)  # among the longest: its file begins early
@pytest.mark.slow
def test_a_clock_that_jumps_sells_no_seat_twice_and_loses_nothing(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    folder, clock = tmp_path / "data", MachineClock(tmp_path / "offset")
    forward, back = "the machine's clock jumps forward (libfaketime)", "the machine's clock jumps back (libfaketime)"
    expired = "hold ended by a jump of the clock"
    for each in (forward, back, expired):
        faults.expect(each)
    methods = {"card-ok": 50, "card-slow": 40, "card-declined": 5, "card-flaky": 5}
    crowd = Crowd([], seed=seed, methods=methods, regretting=0.0)
    with victim(folder, under=faketime(tmp_path / "offset")) as served:
        assert off_by(served, clock, FURTHEST_SECONDS), "the clock can't be set"
        with clock.jumping(Random(seed), faults, forward, back):
            # A section's time never goes back, so what a jump does to it shows in new ones.
            for turn in faults.turns(scale.of_three(3, 3, 35)):
                crowd.concerts = [f"c-{turn}-large", f"c-{turn}-small"]
                served.concert(f"c-{turn}-large", seats=100_000)
                served.concert(f"c-{turn}-small", seats=100)
                over = monotonic() + 2 * BETWEEN_JUMPS_SECONDS
                while monotonic() < over:
                    crowd.rush(served, 50)
                faults.count(expired, len(rows(folder, RELEASED)))
        safe(folder, crowd.observations, skew=SKEW)
        crowd.ask_again(served)
        settled(folder, crowd.observations, skew=SKEW)
        assert not lost(folder, crowd.accepted)
        stopped(served)
    told = events(folder)
    released = rows(folder, RELEASED)
    faults.count(expired, len(released))
    late = told["SeatsReserved"] - told["TicketReserved"]
    figures.row(
        "races",
        race="a clock that jumps, forward and back",
        rounds=faults.fired[forward] + faults.fired[back],
        outcome=f"{len(crowd.accepted):,} orders confirmed, none lost; {len(released):,} holds ended early: "
        f"{late:,} of their orders got seats again with their money, {told['SaleRefused']:,} gave it back, "
        "the others were never charged",
    )


def off_by(served: Served, clock: MachineClock, seconds: float) -> bool:
    """Is the server's clock off by so much soon after it is set so?"""

    def is_off() -> bool:
        placed = datetime.fromisoformat(served.http.post("/orders", json=wanted).json()["createdAt"])
        return placed - datetime.now(UTC) > timedelta(seconds=seconds / 2)

    served.concert("c-first")
    wanted = {"concertId": "c-first", "userId": "first", "quantity": 1}
    clock.set(seconds)
    return eventually(is_off)
