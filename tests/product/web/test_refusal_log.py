"""What the log says of who was refused: enough to find a key that is misused, no secret, and never too much."""

import asyncio
import logging
from typing import Any

import pytest
from tests.fakes import NOON

from cludale.kernel.principals import Scope
from cludale.ports.keys import KeyListing
from cludale.web.access import Access
from cludale.web.app import WebApp
from cludale.web.keyring import KeyRing
from cludale.web.refusal_log import RefusalLog
from cludale.web.responses import Response, json_response
from cludale.web.routing import Credential, Request, Route

LOGGER = "cludale.web.refusal_log"


@pytest.mark.parametrize(
    ("authorization", "who"),
    [
        (None, "nobody"),
        ("Bearer key-0a1b.the-secret", "key-0a1b"),
        ("bearer session-0a1b.the-secret.170000", "session-0a1b"),
        ("Bearer the-secret", "nobody known"),
        ("Basic zoe@example.org", "nobody known"),
    ],
)
def test_a_refused_request_is_said_with_its_route_and_key_and_without_the_secret(
    caplog: pytest.LogCaptureFixture, authorization: str | None, who: str
) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        RefusalLog(lambda: 0.0).note("GET", "/orders/{order_id}", 401, "Unauthorized", authorization)
    assert caplog.messages == [f"refused: GET /orders/{{order_id}} for {who}: 401 Unauthorized"]


def test_strangers_can_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    time = 0.0
    log = RefusalLog(lambda: time, lines_a_second=3)
    with caplog.at_level(logging.INFO, LOGGER):
        for _ in range(1_000):
            log.note("GET", "/orders", 401, "Unauthorized", None)
        time = 1.5
        log.note("GET", "/orders", 401, "Unauthorized", None)
    assert len(caplog.messages) == 3 + 1 + 1
    assert caplog.messages[3] == "997 more requests were refused in one second"


def test_every_route_that_refuses_a_credential_says_so(caplog: pytest.LogCaptureFixture) -> None:
    ring = KeyRing(b"pepper", now=lambda: NOON, monotonic=lambda: 0.0)
    ring.learn(KeyListing(version=1, keys=[]), asked_at=0.0)

    async def handle(_: Request) -> Response:
        return json_response({})

    route = Route(
        method="GET",
        path="/orders/{order_id}",
        handle=handle,
        access=Access(organizer_key="first-key", token_key="token", keys=ring),
        credential=Credential.ORGANIZER,
        scope=Scope.READ,
    )

    app = WebApp([], is_ready=lambda: True, gauges=dict, version="0", internal=[route])
    found = app.router.find(b"GET", b"/orders/order-1")
    request = Request("order-1", {b"authorization": b"Bearer key-1.wrong"})
    with caplog.at_level(logging.INFO, LOGGER):
        answer = asyncio.run(_answered(found.endpoint.handle(request)))
    assert answer.status == 401
    assert caplog.messages == ["refused: GET /orders/{order_id} for key-1: 401 Unauthorized"]


async def _answered(answer: Any) -> Any:
    return await answer
