"""What became of events in the handlers, counted: each once, by service and type."""

from collections.abc import Sequence

import pytest
from tests.product.contracts.samples import noted

from cludale.ports.bus import Acknowledgement, Delivery, Subscription
from cludale.ports.records import StoreUnavailable
from cludale.runtime.consumers import Consumers
from cludale.runtime.outcomes import HandlerOutcomes, Outcome

ANSWERS = {"later": Acknowledgement.RETRY, "never": Acknowledgement.DROP}


async def handle(deliveries: Sequence[Delivery]) -> list[Acknowledgement]:
    notes = [delivery.event.data.note for delivery in deliveries]
    if "broken" in notes:
        raise RuntimeError
    if "away" in notes:
        raise StoreUnavailable("away")
    return [ANSWERS.get(note, Acknowledgement.SUCCESS) for note in notes]


def delivery(note: str, attempt: int = 1) -> Delivery:
    return Delivery(noted(f"event-{note}", note), b"", attempt)


@pytest.fixture
def consumers() -> Consumers:
    made = Consumers(batch_limit=10)
    made.add([Subscription("one", frozenset({delivery("").event.type}), handle)])
    return made


def counted(outcomes: HandlerOutcomes) -> dict[Outcome, int]:
    return {outcome: count for (_, _, outcome), count in outcomes.counts.items()}


async def test_each_event_is_counted_by_what_its_handler_said_also_in_a_batch_that_one_of_them_broke(
    consumers: Consumers,
) -> None:
    await consumers.hand_over("one", [delivery(each) for each in ("fine", "later", "broken", "never", "well")])
    assert counted(consumers.outcomes) == {
        Outcome.HANDLED: 2, Outcome.RETRIED: 1, Outcome.FAILED: 1, Outcome.REFUSED: 1,
    }  # fmt: skip


async def test_an_event_that_comes_again_is_not_counted_again(consumers: Consumers) -> None:
    for attempt in (1, 2, 3):
        await consumers.hand_over("one", [delivery("later", attempt), delivery("broken", attempt)])
    assert counted(consumers.outcomes) == {Outcome.RETRIED: 1, Outcome.FAILED: 1}


async def test_one_that_waits_for_the_store_is_no_failure(consumers: Consumers) -> None:
    with pytest.raises(StoreUnavailable):
        await consumers.hand_over("one", [delivery("away")])
    assert counted(consumers.outcomes) == {}


async def test_the_metrics_say_service_type_outcome_and_revision() -> None:
    outcomes = HandlerOutcomes()
    outcomes.failed("payments", delivery("x"))
    ((name, count),) = outcomes.gauges("payments--c1").items()
    event_type = delivery("").event.type
    assert name == (
        f'cludale_handler_outcomes_total{{service="payments",type="{event_type}",outcome="failed",'
        'revision="payments--c1"}'
    )
    assert count == 1
