"""A canary takes a few events and hands everything else back: nothing that it meets is lost or given up by it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.product.adapters.dapr.test_inbound import ATTEMPTS, Desk, event
from tests.product.contracts.samples import CODEC
from tests.product.contracts.test_event_bus import Service

from cludale.adapters.dapr.consumption import Consumption
from cludale.adapters.dapr.subscriptions import dead_letter_topic, subscriptions
from cludale.kernel.refusals import Busy
from cludale.ports.bus import Acknowledgement


class Canary(Desk):
    def __init__(self, folder: Path) -> None:
        self.consumption: Consumption = Consumption(wanted=True, most=3)
        super().__init__(folder, self.consumption)


@pytest.fixture
async def canary(tmp_path: Path) -> AsyncIterator[Canary]:
    opened = Canary(tmp_path)
    yield opened
    await opened.store.close()


async def test_what_comes_after_the_last_event_is_handed_back_and_never_seen_by_a_handler(canary: Canary) -> None:
    service = Service("one")
    canary.inbound.start([service.subscription])
    assert await canary.bulk(*(event(each) for each in "abcde")) == ["SUCCESS"] * 3 + ["RETRY"] * 2
    assert await canary.bulk(event("f")) == ["RETRY"]
    assert service.notes == {"a", "b", "c"}
    assert canary.consumption.handed_back == 3
    with pytest.raises(Busy):
        canary.consumption.check()


async def test_an_event_at_which_its_handler_breaks_counts_once_and_comes_back_to_somebody_else(canary: Canary) -> None:
    service = Service("one", lambda note, _: Acknowledgement.RETRY if note == "a" else Acknowledgement.SUCCESS)
    canary.inbound.start([service.subscription])
    for _ in range(2):
        assert await canary.bulk(event("a")) != ["SUCCESS"], "so that the sidecar puts it among the dead letters"
    assert await canary.bulk(event("b"), event("c"), event("d")) == ["SUCCESS", "SUCCESS", "RETRY"]


async def test_a_canary_leaves_dead_letters_to_others_and_buries_nothing(canary: Canary) -> None:
    service = Service("one", lambda *_: Acknowledgement.DROP)
    canary.inbound.start([service.subscription])
    for _ in range(ATTEMPTS + 1):
        assert await canary.dead(event("a")) == "RETRY"
    assert await canary.buried() == []
    assert service.notes == set()


async def test_a_canary_that_is_told_to_take_everything_does(canary: Canary) -> None:
    service = Service("one")
    canary.inbound.start([service.subscription])
    assert await canary.bulk(*(event(each) for each in "abcd")) == ["SUCCESS"] * 3 + ["RETRY"]
    assert not canary.consumption.takes_due_work
    canary.consumption.switch(wanted=True, most=0)
    canary.consumption.check()
    assert canary.consumption.takes_due_work
    assert await canary.bulk(event("d")) == ["SUCCESS"]
    assert await canary.dead(event("e")) == "SUCCESS"


def test_a_process_that_is_a_canary_all_its_life_does_not_subscribe_to_dead_letters() -> None:
    heard = frozenset(CODEC.catalogue.types)

    def topics(*, dead_letters: bool) -> set[str]:
        wanted = subscriptions(
            CODEC.catalogue, heard, app_id="audit", pubsub="events", components={}, dead_letters=dead_letters
        )
        return {each["topic"] for each in wanted}

    assert topics(dead_letters=True) - topics(dead_letters=False) == {dead_letter_topic("audit")}
