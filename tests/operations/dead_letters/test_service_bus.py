"""The dead-letter queues of Azure Service Bus: looked at, sent again, and nothing lost whoever dies when.

Over a DOUBLE (service_bus.py): no broker of Azure's can be had here.
"""

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any, cast

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusReceiver, ServiceBusSender
from tests.fakes import NOON
from tests.operations.dead_letters.service_bus import (
    LOCK,
    Client,
    Killed,
    Namespace,
    Receiver,
    Sender,
    properties_of,
)

from cludale_operations.dead_letters.broker import BrokerRefused, BrokerSubscription, LetterOutcome, Sent
from cludale_operations.dead_letters.service_bus import AT_ONCE, MOST_IN_HAND, PAGE, ServiceBusDeadLetters

ORDERS = BrokerSubscription("payment-events", "orders")
AUDIT = BrokerSubscription("payment-events", "audit")


@pytest.fixture
def namespace() -> Namespace:
    return Namespace(["orders", "audit"])


def letters(namespace: Namespace) -> ServiceBusDeadLetters:
    """As a process that has just started sees them."""
    return ServiceBusDeadLetters(cast("ServiceBusClient", namespace.client()))


def event(number: int) -> bytes:
    return f'{{"specversion":"1.0","id":"event-{number}","type":"PaymentCompleted","source":"payments"}}'.encode()


def give_up(namespace: Namespace, place: BrokerSubscription = ORDERS, *, count: int = 1, first: int = 1) -> list[int]:
    return [
        namespace.gave_up(place, event(number), id=f"event-{number}", type="PaymentCompleted")
        for number in range(first, first + count)
    ]


def ids(namespace: Namespace, topic: str = "orders-dead-letters") -> list[str]:
    return [str(each.message_id) for each in namespace.sent[topic]]


def outcomes(sent: Iterator[Sent]) -> list[tuple[int, LetterOutcome]]:
    return [(each.sequence, each.outcome) for each in sent]


# Looking


def test_a_letter_says_what_came_how_often_since_when_and_why(namespace: Namespace) -> None:
    (number,) = give_up(namespace)
    (letter,) = letters(namespace).standing(ORDERS)
    assert letter.id == f"payment-events/orders/{number}"
    assert (letter.event_id, letter.event_type, letter.attempts) == ("event-1", "PaymentCompleted", 2000)
    assert letter.reason == "MaxDeliveryCountExceeded"
    assert letter.description == "Message could not be consumed after 2000 delivery attempts."
    assert letter.published_at == NOON
    assert letter.body == event(1).decode()


def test_all_of_a_place_come_in_order_over_as_many_pages_as_that_takes(namespace: Namespace) -> None:
    numbers = give_up(namespace, count=2 * PAGE + 1)
    assert [each.sequence for each in letters(namespace).standing(ORDERS)] == numbers


def test_only_as_many_pages_are_read_as_are_asked_for(namespace: Namespace) -> None:
    give_up(namespace, count=3 * PAGE)
    asked: list[str] = []
    namespace.watch = lambda what, is_done: asked.append(what) if is_done else None
    standing = letters(namespace).standing(ORDERS)
    assert next(standing).event_id == "event-1"
    assert asked == ["peek"]


def test_what_a_stranger_sent_is_shown_as_it_is(namespace: Namespace) -> None:
    namespace.gave_up(ORDERS, b"\xff{", id="x", type="Strange")
    namespace.gave_up(ORDERS, b"", id="y", type="Strange", value="no bytes")
    first, second = letters(namespace).standing(ORDERS)
    assert (first.event_id, first.event_type, first.body) == ("x", "Strange", "�{")
    assert (second.event_id, second.body) == ("y", "no bytes")


def test_one_is_found_by_its_number_and_no_other_in_its_place(namespace: Namespace) -> None:
    first, second = give_up(namespace, count=2)
    found = letters(namespace).one(ORDERS, second)
    assert found is not None
    assert found.event_id == "event-2"
    del namespace.dead[ORDERS][first]
    assert letters(namespace).one(ORDERS, first) is None


def test_looking_changes_nothing(namespace: Namespace) -> None:
    give_up(namespace, count=3)
    for _ in range(2):
        assert [each.attempts for each in letters(namespace).standing(ORDERS)] == [2000] * 3


# Sending again


def test_a_letter_goes_to_its_service_alone_byte_for_byte_under_its_own_id(namespace: Namespace) -> None:
    (number,) = give_up(namespace)
    assert outcomes(letters(namespace).send_again(ORDERS, [number])) == [(number, LetterOutcome.SENT)]
    assert set(namespace.sent) == {"orders-dead-letters"}
    (sent,) = namespace.sent["orders-dead-letters"]
    assert b"".join(sent.body) == event(1)
    assert (sent.message_id, sent.correlation_id) == ("event-1", "order-1")
    assert sent.content_type == "application/cloudevents+json"
    assert properties_of(sent) == {"eventtype": "PaymentCompleted"}, "what the broker noted stays behind"
    assert sent.time_to_live is None, "its time may be over"
    assert not namespace.dead[ORDERS]


def test_a_dead_letter_s_own_dead_letter_goes_to_the_same_topic(namespace: Namespace) -> None:
    own = BrokerSubscription("audit-dead-letters", "audit")
    (number,) = give_up(namespace, own)
    assert outcomes(letters(namespace).send_again(own, [number])) == [(number, LetterOutcome.SENT)]
    assert ids(namespace, "audit-dead-letters") == ["event-1"]


def test_one_of_many_is_sent_and_the_others_are_there_at_once_for_somebody_else(namespace: Namespace) -> None:
    numbers = give_up(namespace, count=3 * AT_ONCE)
    wanted = numbers[2 * AT_ONCE + 5]
    assert outcomes(letters(namespace).send_again(ORDERS, [wanted])) == [(wanted, LetterOutcome.SENT)]
    assert list(namespace.dead[ORDERS]) == [each for each in numbers if each != wanted]
    assert all(each.locked_until <= namespace.now for each in namespace.dead[ORDERS].values())


def test_the_same_event_of_another_service_stays_where_it_is(namespace: Namespace) -> None:
    (mine,), (other,) = give_up(namespace, ORDERS), give_up(namespace, AUDIT)
    assert outcomes(letters(namespace).send_again(ORDERS, [mine])) == [(mine, LetterOutcome.SENT)]
    assert list(namespace.dead[AUDIT]) == [other]
    assert "audit-dead-letters" not in namespace.sent


def test_what_somebody_else_has_in_hand_is_held_and_left_alone(namespace: Namespace) -> None:
    first, second = give_up(namespace, count=2)
    with Receiver(namespace, ORDERS) as other:
        other.receive_messages(max_message_count=1)
        assert outcomes(letters(namespace).send_again(ORDERS, [first, second])) == [
            (second, LetterOutcome.SENT),
            (first, LetterOutcome.HELD),
        ]
    assert ids(namespace) == ["event-2"]


def test_one_behind_too_many_others_is_held_and_the_others_are_given_back(namespace: Namespace) -> None:
    numbers = give_up(namespace, count=MOST_IN_HAND + AT_ONCE)
    assert outcomes(letters(namespace).send_again(ORDERS, [numbers[-1]])) == [(numbers[-1], LetterOutcome.HELD)]
    assert all(each.locked_until <= namespace.now for each in namespace.dead[ORDERS].values())
    assert not namespace.sent


def test_a_letter_whose_lock_ended_before_it_was_removed_is_sent_and_said_to_stand_there(namespace: Namespace) -> None:
    (number,) = give_up(namespace)

    def be_slow(what: str, is_done: bool) -> None:
        if what == "send" and is_done:
            namespace.now += LOCK

    namespace.watch = be_slow
    assert outcomes(letters(namespace).send_again(ORDERS, [number])) == [(number, LetterOutcome.SENT_AND_KEPT)]
    assert list(namespace.dead[ORDERS]) == [number]


def test_what_the_broker_does_not_take_is_not_removed(namespace: Namespace) -> None:
    (number,) = give_up(namespace)
    namespace.away = {"send"}
    with pytest.raises(BrokerRefused, match=r"^payment-events/orders: Failed to open a connection\.$"):
        outcomes(letters(namespace).send_again(ORDERS, [number]))
    namespace.away = set()
    assert outcomes(letters(namespace).send_again(ORDERS, [number])) == [(number, LetterOutcome.SENT)], (
        "given back at once"
    )


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(8))
def test_whoever_is_killed_at_any_step_loses_nothing_and_the_next_one_ends_it(
    namespace: Namespace, step: int, is_done: bool
) -> None:
    numbers = give_up(namespace, count=3)
    steps = 0
    dead = False

    def kill(_: str, is_after: bool) -> None:
        nonlocal steps, dead
        if dead:
            raise Killed
        if is_after == is_done:
            steps += 1
            if steps > step:
                dead = True
                raise Killed

    namespace.watch = kill
    with contextlib.suppress(Killed):
        outcomes(letters(namespace).send_again(ORDERS, numbers))
    namespace.watch = lambda _, __: None
    standing = {each.event_id for each in letters(namespace).standing(ORDERS)}
    assert standing | set(ids(namespace)) == {"event-1", "event-2", "event-3"}, "nothing is lost"
    namespace.now += LOCK
    left = [each.sequence for each in letters(namespace).standing(ORDERS)]
    assert outcomes(letters(namespace).send_again(ORDERS, left)) == [(number, LetterOutcome.SENT) for number in left]
    assert not namespace.dead[ORDERS]
    assert set(ids(namespace)) == {"event-1", "event-2", "event-3"}
    assert len(ids(namespace)) <= 4, "at most the one that was in hand is sent twice"


def test_who_may_not_is_told_which_role_is_wanted(namespace: Namespace) -> None:
    (number,) = give_up(namespace)
    namespace.denied = {"peek"}
    with pytest.raises(BrokerRefused, match="Azure Service Bus Data Receiver"):
        list(letters(namespace).standing(ORDERS))
    namespace.denied = {"send"}
    with pytest.raises(BrokerRefused, match="Data Sender on orders-dead-letters"):
        outcomes(letters(namespace).send_again(ORDERS, [number]))


def test_a_namespace_without_the_subscription_is_said_to_be_none(namespace: Namespace) -> None:
    with pytest.raises(BrokerRefused, match="order-events/payments: there is no such subscription"):
        list(letters(namespace).standing(BrokerSubscription("order-events", "payments")))


@pytest.mark.parametrize(
    ("double", "real"),
    [(Client, ServiceBusClient), (Receiver, ServiceBusReceiver), (Sender, ServiceBusSender)],
    ids=lambda each: each.__name__,
)
def test_the_double_has_no_method_and_no_parameter_that_the_library_lacks(double: type, real: Any) -> None:
    for name, method in inspect.getmembers(double, inspect.isfunction):
        if not name.startswith("_"):
            known = inspect.signature(getattr(real, name)).parameters
            for parameter in inspect.signature(method).parameters.values():
                assert parameter.name in known, f"{name}({parameter.name})"
                assert known[parameter.name].kind is parameter.kind, f"{name}({parameter.name})"
