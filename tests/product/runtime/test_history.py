"""The last minutes of a process are kept step by step, and no longer."""

from datetime import timedelta

import pytest
from tests.fakes import NOON, ManualClock

from cludale.runtime.history import STEP_SECONDS, Histories, History


def test_a_counter_is_kept_as_what_came_and_a_gauge_as_it_was() -> None:
    history = History()
    for number, (total, depth) in enumerate([(7.0, 1.0), (9.0, 4.0), (9.0, 0.0)], 100):
        history.note(number, {"sold_total": total, "depth": depth})
    assert history.series() == {"depth": [1, 4, 0], "sold_total": [0, 2, 0]}


def test_a_counter_that_begins_anew_never_goes_back() -> None:
    history = History()
    for number, total in enumerate((5.0, 9.0, 2.0, 3.0)):
        history.note(number, {"sold_total": total})
    assert history.series() == {"sold_total": [0, 4, 0, 1]}


def test_a_step_that_was_missed_is_not_known_and_the_oldest_are_forgotten() -> None:
    history = History(kept=3)
    for number in (1, 2, 4, 4, 3):
        history.note(number, {"depth": number})
    assert history.series() == {"depth": [2, None, 4]}
    history.note(9, {"depth": 9})
    assert history.series() == {"depth": [None, None, 9]}


def test_without_a_step_there_is_nothing() -> None:
    assert (History().series(), History().until) == ({}, None)


async def test_figures_are_noted_at_the_end_of_each_step_whatever_one_of_them_says() -> None:
    clock, looks = ManualClock(NOON + timedelta(seconds=2)), 0

    def depth() -> dict[str, float]:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise RuntimeError("away")
        return {"depth": looks}

    histories = Histories(clock)
    histories.watch("orders", depth)
    histories.start()
    while looks < 4:
        await clock.sleep(0)
    await histories.stop()
    assert histories.of("orders").series()["depth"][:2] == [1, None]
    until = histories.of("orders").until
    assert until is not None
    assert until.timestamp() % STEP_SECONDS == 0
    assert histories.of("nobody").series() == {}


@pytest.mark.parametrize("name", ["depth", 'depth{of="sold_total"}'])
def test_what_a_label_says_makes_no_counter(name: str) -> None:
    history = History()
    history.note(1, {name: 3})
    assert history.series() == {name: [3]}
