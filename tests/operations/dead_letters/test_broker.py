"""Where the broker's dead letters may stand, and what they are called."""

from tools.infra import catalogue

from cludale.services import NAMES
from cludale_operations.dead_letters.broker import BrokerSubscription, place_of, places


def test_there_is_a_place_for_each_subscription_that_the_templates_make() -> None:
    made = catalogue.catalogue()
    subscriptions = {(each["topic"], each["name"]) for each in made["subscriptions"]}
    assert set(places(NAMES)) == subscriptions | {(each["deadLetterTopic"], each["name"]) for each in made["services"]}


def test_those_of_one_service_are_its_own() -> None:
    assert {each.service for each in places(["audit"])} == {"audit"}
    assert BrokerSubscription("audit-dead-letters", "audit") in places(["audit"])


def test_an_id_says_where_a_letter_stands() -> None:
    place = BrokerSubscription("payment-events", "orders")
    assert place_of(place.id_of(17)) == (place, 17)


def test_what_is_no_such_id_is_none() -> None:
    for id in ("letter-0", "payment-events/orders", "payment-events/orders/x", "payment-events/strangers/1", "a/b/c/1"):
        assert place_of(id) is None, id
    assert place_of("notification-events/orders/1") is None, "orders hears none of them"
