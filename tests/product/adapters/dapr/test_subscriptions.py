"""How large the bulks are that a sidecar is asked for: as its broker can take them."""

import pytest

from cludale.adapters.dapr.subscriptions import BULK_EVENTS, SERVICE_BUS_EVENTS, subscriptions
from cludale.services.catalogue import CATALOGUE, HEARS


@pytest.mark.parametrize(
    ("component", "most"),
    [
        ("pubsub.jetstream", BULK_EVENTS),
        ("pubsub.azure.servicebus.topics", SERVICE_BUS_EVENTS),
        ("pubsub.rabbitmq", BULK_EVENTS),
    ],
)
def test_a_bulk_is_as_large_as_its_dead_letters_may_be_at_this_broker(component: str, most: int | None) -> None:
    asked = subscriptions(CATALOGUE, HEARS["audit"], app_id="audit", pubsub="events", components={"events": component})
    told = [each.get("bulkSubscribe", {}).get("maxMessagesCount") for each in asked if "deadLetterTopic" in each]
    assert told == [most] * len(CATALOGUE.topics)


def test_the_types_of_a_topic_that_nobody_here_hears_are_named() -> None:
    asked = subscriptions(CATALOGUE, HEARS["tickets"], app_id="tickets", pubsub="events", components={})
    carried = {topic.name: {event.__name__ for event in topic.events} for topic in CATALOGUE.topics}
    unheard = {each["topic"]: set(each["metadata"]["unheardTypes"].split(",")) for each in asked[:-1]}
    assert unheard
    for topic, types in unheard.items():
        assert types == carried[topic] - set(HEARS["tickets"])


def test_who_hears_all_of_a_topic_names_none() -> None:
    asked = subscriptions(CATALOGUE, HEARS["audit"], app_id="audit", pubsub="events", components={})
    assert all("unheardTypes" not in each["metadata"] for each in asked)
