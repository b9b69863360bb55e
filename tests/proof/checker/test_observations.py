"""What clients saw against what is there: promises kept, the same answers to the same keys, doors closed."""

import pytest
from tests.proof.checker.worlds import CONCERT, Json, World, busy_world, encoded

from cludale_proof.checker import Credential, Invariant, Observation
from cludale_proof.checker.documents import Unreadable
from cludale_proof.checker.observations import Desk, observation


def seen(method: str, path: str, status: int, body: Json | None = None, **more: object) -> Observation:
    text = "" if body is None else encoded(body).decode()
    return Observation(method=method, path=path, status=status, body=text, **more)  # type: ignore[arg-type] # as given


def view(world: World, order_id: str, **changes: object) -> Json:
    """The order as its buyer sees it."""
    order = world.doc("orders/order", order_id)
    names = ("id", "concertId", "section", "userId", "quantity", "status", "reason", "total", "createdAt", "expiresAt")
    return {name: order.get(name) for name in names} | changes


def test_answers_that_were_kept_hold() -> None:
    world = busy_world()
    observations = [
        seen("POST", "/concerts", 201, {"id": CONCERT, "totalSeats": 100}),
        seen("POST", "/orders", 201, view(world, "order-paid", status="Reserved"), sent_at=1.0, received_at=2.0),
        seen("GET", "/orders/order-paid?wait=2", 200, view(world, "order-paid"), sent_at=2.5, received_at=3.0),
        seen("POST", "/orders", 202, view(world, "order-declined", status="Pending", reason=None)),
        seen("GET", "/orders/order-second-try", 200, view(world, "order-second-try", status="Cancelled")),
        seen("POST", "/orders/order-returned/cancel", 200, view(world, "order-returned")),
        seen("POST", "/payments", 200, {"id": "payment-paid", "orderId": "order-paid", "status": "Completed"}),
        seen("POST", "/payments", 200, {"id": "payment-declined", "orderId": "order-declined", "status": "Failed"}),
        seen(
            "POST",
            f"/concerts/{CONCERT}/reserve",
            201,
            {"id": "reservation-nobody", "quantity": 2, "status": "Held"},
            request='{"quantity": 2}',
        ),
        seen(
            "POST",
            f"/concerts/{CONCERT}/reserve",
            201,
            {"id": "reservation-paid", "quantity": 2, "status": "Held"},
            request='{"quantity": 2, "orderId": "order-paid"}',
        ),
        seen("GET", "/orders/order-paid", 404, {"type": "/problems/not-found"}, credential=Credential.NONE),
        seen("GET", "/concerts", 200, {"items": []}, credential=Credential.NONE),
        seen("POST", "/orders", 0),
        seen("POST", "/orders", 200, None),
    ]
    report = world.check(quiet=True, observations=observations)
    assert report.violations == []
    assert report.counts["observations"] == len(observations)


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("order-gone", seen("POST", "/orders", 201, {"id": "order-gone", "status": "Reserved"})),
        ("order-changed", seen("POST", "/orders", 201, {"id": "order-paid", "quantity": 7})),
        ("order-changed", seen("POST", "/orders", 201, {"id": "order-paid", "userId": "user-2"})),
        ("status-never-had", seen("GET", "/orders/order-declined", 200, {"id": "order-declined", "status": "Paid"})),
        ("status-never-had", seen("GET", "/orders/order-paid", 200, {"id": "order-paid", "status": "Cancelled"})),
        (
            "cancellation-lost",
            seen("POST", "/orders/order-declined/cancel", 200, {"id": "order-declined", "status": "Cancelled"}),
        ),
        (
            "cancellation-lost",
            seen(
                "GET",
                "/orders/order-declined",
                200,
                {"id": "order-declined", "status": "Cancelled", "reason": "cancelled-by-organizer"},
            ),
        ),
        ("payment-gone", seen("POST", "/payments", 200, {"id": "payment-gone", "orderId": "order-paid"})),
        (
            "payment-undone",
            seen(
                "POST", "/payments", 200, {"id": "payment-declined", "orderId": "order-declined", "status": "Completed"}
            ),
        ),
        ("reservation-gone", seen("POST", "/concerts/c/reserve", 201, {"id": "reservation-gone", "quantity": 1})),
        ("concert-gone", seen("POST", "/concerts", 201, {"id": "concert-gone"})),
    ],
)
def test_a_promise_that_was_not_kept_is_found(rule: str, broken: Observation) -> None:
    report = busy_world().check(observations=[broken])
    assert [violation.rule for violation in report.violations] == [rule]
    assert report.violations[0].invariant is Invariant.ACKNOWLEDGED_STAYS


def test_an_order_that_goes_back_in_its_life_before_a_client_s_eyes_is_found() -> None:
    world = busy_world()
    first = seen("GET", "/orders/order-paid", 200, view(world, "order-paid"), sent_at=1.0, received_at=2.0)
    later = seen(
        "GET", "/orders/order-paid", 200, view(world, "order-paid", status="Reserved"), sent_at=3.0, received_at=4.0
    )
    (violation,) = world.check(observations=[later, first]).violations
    assert violation.rule == "seen-going-back"
    assert violation.invariant is Invariant.LEGAL_STEPS


def test_answers_that_crossed_on_their_way_prove_nothing() -> None:
    world = busy_world()
    first = seen("GET", "/orders/order-paid", 200, view(world, "order-paid"), sent_at=1.0, received_at=2.0)
    crossing = seen(
        "GET", "/orders/order-paid", 200, view(world, "order-paid", status="Reserved"), sent_at=0.5, received_at=4.0
    )
    assert world.check(observations=[first, crossing]).ok


def test_an_answer_that_was_kept_for_a_key_may_be_old_when_it_is_given_again() -> None:
    world = busy_world()
    reserved = view(world, "order-paid", status="Reserved")
    first = seen("GET", "/orders/order-paid", 200, view(world, "order-paid"), sent_at=1.0, received_at=2.0)
    again = seen("POST", "/orders", 201, reserved, key="k", sent_at=3.0, received_at=4.0)
    assert world.check(observations=[first, again]).ok


ORDER = '{"concertId": "c", "quantity": 2}'
SAME_BUT_FOR_BLANKS = '{"quantity":2,"concertId":"c","section":null}'
OTHER = '{"concertId": "c", "quantity": 3}'
REUSED = {"type": "/problems/idempotency-key-reused", "status": 422}
IN_FLIGHT = {"type": "/problems/idempotency-key-in-flight", "status": 409}
SOLD_OUT = {"type": "/problems/seats-unavailable", "status": 409, "left": 0}


NOT_YET = {"type": "/problems/not-on-sale", "status": 409}
HOLD_ENDED = {"type": "/problems/hold-ended", "status": 409}


def post(status: int, body: Json, request: str = ORDER, key: str | None = "k", **times: float) -> Observation:
    return seen("POST", "/orders", status, body, request=request, key=key, **times)


TAKEN = post(201, {"id": "o"}, sent_at=1.0, received_at=2.0)


@pytest.mark.parametrize(
    "answers",
    [
        [post(201, {"id": "o"}), post(201, {"id": "o"})],
        [post(201, {"id": "o"}), post(201, {"id": "o"}, SAME_BUT_FOR_BLANKS)],
        [post(201, {"id": "o"}), post(422, REUSED, OTHER), post(201, {"id": "o"})],
        [post(422, REUSED, OTHER), post(201, {"id": "o"})],
        [post(409, IN_FLIGHT), post(503, {}), post(0, {}), post(201, {"id": "o"})],
        [post(409, SOLD_OUT), post(409, SOLD_OUT | {"left": 1}), post(201, {"id": "o"}), post(201, {"id": "o"})],
        [post(409, NOT_YET), post(409, SOLD_OUT), post(201, {"id": "o"}, OTHER)],
        [TAKEN, post(409, SOLD_OUT, sent_at=1.5, received_at=3.0)],
        [post(201, {"id": "o"}), post(201, {"id": "p"}, key="other")],
        [post(201, {"id": "o"}, key=None), post(201, {"id": "p"}, key=None)],
    ],
)
def test_one_answer_to_a_key_is_as_it_should_be(answers: list[Observation]) -> None:
    desk = Desk()
    assert [violation for each in answers for violation in desk.look(each)] == []


@pytest.mark.parametrize(
    ("rule", "answers"),
    [
        ("two-answers", [post(201, {"id": "o"}), post(201, {"id": "p"})]),
        ("two-answers", [post(201, {"id": "o", "a": 1}), post(201, {"id": "o", "a": 2})]),
        ("two-answers", [post(409, HOLD_ENDED), post(201, {"id": "o"})]),
        ("two-answers", [TAKEN, post(409, SOLD_OUT, sent_at=2.5, received_at=3.0)]),
        ("two-bodies", [TAKEN, post(409, NOT_YET, OTHER, sent_at=2.5, received_at=3.0)]),
        ("two-bodies", [post(201, {"id": "o"}), post(201, {"id": "o"}, OTHER)]),
        ("reused-by-itself", [post(201, {"id": "o"}), post(422, REUSED)]),
        ("reused-by-itself", [post(422, REUSED), post(201, {"id": "o"})]),
    ],
)
def test_a_key_with_two_answers_is_found(rule: str, answers: list[Observation]) -> None:
    report = World().check(observations=answers)
    found = [violation for violation in report.violations if violation.invariant is Invariant.SAME_ANSWER]
    assert [violation.rule for violation in found] == [rule]


@pytest.mark.parametrize("credential", [Credential.NONE, Credential.OTHER])
@pytest.mark.parametrize(("method", "path"), [("GET", "/orders/order-paid"), ("POST", "/orders/order-paid/cancel")])
def test_an_order_that_opens_without_its_credential_is_found(credential: Credential, method: str, path: str) -> None:
    world = busy_world()
    report = world.check(observations=[seen(method, path, 200, {"status": "Paid"}, credential=credential)])
    (violation,) = report.violations
    assert violation.rule == "open-door"
    assert violation.invariant is Invariant.CREDENTIALS
    assert violation.order_id == "order-paid"


def test_a_line_says_what_a_client_saw() -> None:
    line = b'{"method":"POST","path":"/orders","status":201,"body":"{}","key":"k","credential":"buyer","sentAt":1.5}'
    assert observation(line) == Observation(
        method="POST", path="/orders", status=201, body="{}", key="k", credential=Credential.BUYER, sent_at=1.5
    )


def test_a_line_that_says_something_else_is_refused() -> None:
    with pytest.raises(Unreadable, match="status"):
        observation(b'{"method": "POST", "path": "/orders"}')
