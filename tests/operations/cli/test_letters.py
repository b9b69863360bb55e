"""`cludale deadletters` where the broker keeps some, too: one list, counted, shown, sent again.

One server for all, whose own letters no test here changes; the broker is a DOUBLE (conftest.py), a new one for each.
"""

import asyncio
import json
from collections.abc import Iterator

import pytest
from tests.operations.cli.test_dead_letters import PAID, bury, told
from tests.operations.dead_letters.service_bus import LOCK, Namespace
from tests.served import KEY, Served, serve
from typer.testing import CliRunner

from cludale_operations.cli import app
from cludale_operations.dead_letters.broker import BrokerSubscription

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    asyncio.run(bury(folder))
    with serve(folder) as running:
        yield running


@pytest.fixture(autouse=True)
def named(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUDALE_DATA_DIR", str(server.folder))
    monkeypatch.setenv("CLUDALE_PORT", str(server.port))
    monkeypatch.setenv("CLUDALE_ORGANIZER_KEY", KEY)


@pytest.fixture(autouse=True)
def given_up(namespace: Namespace) -> None:
    """An event of yesterday's for audit, and two of tomorrow's for orders."""
    namespace.gave_up(BrokerSubscription("order-events", "audit"), PAID, id="event-1", type="OrderPaid", days_old=1)
    for number in (2, 3):
        namespace.gave_up(
            BrokerSubscription("payment-events", "orders"),
            b'{"id": "event-%d", "type": "PaymentCompleted"}' % number,
            id=f"event-{number}",
            type="PaymentCompleted",
            reason="TTLExpiredException",
            description="The message expired and was dead lettered.",
            days_old=-1,
        )


def test_those_of_the_broker_stand_in_one_list_with_the_services_own_oldest_first(namespace: Namespace) -> None:
    listed = told("list")
    assert [each["where"] for each in listed] == ["broker", *["service"] * 5, *["broker"] * 2]
    assert [each["since"] for each in listed] == sorted(each["since"] for each in listed)
    first = listed[0]
    assert (first["id"], first["consumer"], first["topic"]) == ("order-events/audit/1", "audit", "order-events")
    assert (first["reason"], first["attempts"]) == ("MaxDeliveryCountExceeded", 2000)
    assert first["queue"] == "order-events/audit/$deadletterqueue"


def test_without_a_namespace_the_services_own_are_listed_alone(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLUDALE_SERVICE_BUS")
    assert {each["where"] for each in told("list")} == {"service"}
    result = CliRunner().invoke(app, ["deadletters", "show", "order-events/audit/1"])
    assert result.exit_code == 2
    assert "--service-bus" in result.stderr


def test_a_list_is_cut_where_it_is_longest_and_says_how_it_goes_on(namespace: Namespace) -> None:
    whole = told("list")
    result = CliRunner().invoke(app, ["deadletters", "list", "--limit", "6", "--json"])
    assert json.loads(result.stdout) == whole[:6]
    assert f"--since {whole[6]['since']}" in result.stderr
    assert told("list", "--since", whole[6]["since"]) == whole[6:]
    assert told("list", "--until", whole[1]["since"]) == whole[:1]


def test_only_those_of_a_service_or_a_topic_are_listed(namespace: Namespace) -> None:
    assert {each["consumer"] for each in told("list", "--service", "orders")} == {"orders"}
    assert {each["eventId"] for each in told("list", "--topic", "order-events")} == {"event-1"}
    assert len(told("list", "--topic", "order-events", "--topic", "payment-events")) == 4
    assert told("list", "--state", "delivered") == []


def test_they_are_counted_by_where_they_stand_service_topic_and_reason(namespace: Namespace) -> None:
    counted = {(each["where"], each["consumer"], each["topic"], each["reason"]): each for each in told("count")}
    assert counted["broker", "orders", "payment-events", "TTLExpiredException"]["count"] == 2
    assert counted["broker", "audit", "order-events", "MaxDeliveryCountExceeded"]["count"] == 1
    assert counted["service", "payments", "?", "truncated"]["count"] == 3
    assert sum(each["count"] for each in counted.values()) == 8
    assert counted["service", "audit", "order-events", "too early"]["oldest"] == told("list")[1]["since"]


def test_one_of_the_broker_s_is_shown_with_its_event_and_why_it_was_given_up(namespace: Namespace) -> None:
    shown = told("show", "order-events/audit/1")
    assert shown["body"] == PAID.decode()
    assert shown["description"] == "Message could not be consumed after 2000 delivery attempts."
    missing = CliRunner().invoke(app, ["deadletters", "show", "order-events/audit/99"])
    assert (missing.exit_code, "no dead letter" in missing.stderr) == (1, True)


def test_one_of_the_broker_s_is_sent_to_its_service_again_and_gone(namespace: Namespace) -> None:
    (sent,) = told("retry", "order-events/audit/1")
    assert (sent["where"], sent["eventId"], sent["answer"], sent["state"]) == ("broker", "event-1", "SENT", "Sent")
    ((topic, messages),) = namespace.sent.items()
    assert topic == "audit-dead-letters"
    assert b"".join(messages[0].body) == PAID
    assert "order-events/audit/1" not in [each["id"] for each in told("list")]


def test_no_more_are_retried_than_the_limit_says_and_the_rest_stays(namespace: Namespace) -> None:
    result = CliRunner().invoke(app, ["deadletters", "retry", "--all", "--topic", "payment-events", "--limit", "1"])
    assert result.exit_code == 0
    assert "1 of 1 were taken or sent." in result.stdout
    assert "There are more" in result.stderr
    assert [each["eventId"] for each in told("list", "--topic", "payment-events")] == ["event-3"]


def test_how_far_a_long_retry_is_is_told(namespace: Namespace) -> None:
    for number in range(4, 124):
        namespace.gave_up(BrokerSubscription("payment-events", "orders"), PAID, id=f"event-{number}", type="OrderPaid")
    result = CliRunner().invoke(app, ["deadletters", "retry", "--all", "--service", "orders", "--json"])
    assert result.exit_code == 0
    assert result.stderr.splitlines() == ["50 of 122 …", "100 of 122 …"]


def test_what_somebody_else_has_in_hand_waits_and_the_exit_status_says_so(namespace: Namespace) -> None:
    place = BrokerSubscription("order-events", "audit")
    namespace.dead[place][1].locked_until = namespace.now + LOCK
    (held,) = told("retry", "order-events/audit/1", status=1)
    assert (held["answer"], held["state"]) == ("HELD", "Waiting")
    namespace.now += LOCK
    assert told("retry", "order-events/audit/1")[0]["answer"] == "SENT"


def test_a_broker_that_fails_in_the_middle_is_said_with_what_was_done_before(namespace: Namespace) -> None:
    def fail_from_the_second(what: str, is_done: bool) -> None:
        if what == "send" and is_done:
            namespace.away = {"send"}

    namespace.watch = fail_from_the_second
    result = CliRunner().invoke(app, ["deadletters", "retry", "--all", "--service", "orders"])
    assert result.exit_code == 2
    assert "1 of 2 were taken or sent." in result.stdout
    assert "Service Bus, after 1 of 2: payment-events/orders: Failed to open a connection." in result.stderr
    namespace.away = set()
    assert [each["eventId"] for each in told("list", "--service", "orders")] == ["event-3"]


def test_who_may_not_look_is_told_so_in_one_line(namespace: Namespace) -> None:
    namespace.denied = {"peek"}
    result = CliRunner().invoke(app, ["deadletters", "list"])
    assert result.exit_code == 2
    assert "Data Receiver" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["list", "--topic", "payments"], "there is no topic 'payments'"),
        (["list", "--since", "yesterday"], "--since must be a time"),
        (["retry"], "name the letters to retry"),
    ],
)
def test_what_can_not_be_meant_is_said_before_anything_is_asked(arguments: list[str], why: str) -> None:
    result = CliRunner().invoke(app, ["deadletters", *arguments])
    assert result.exit_code == 2
    assert why in result.stderr
