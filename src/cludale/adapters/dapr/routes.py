"""What the sidecar calls: subscriptions, deliveries, health; and the operator's switch of consumption.

Whatever changes or tells something wants a token: the app's own, or a key with the scope `operate`.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Annotated

import msgspec
from msgspec import Meta

from cludale.adapters.dapr.consumption import Consumption
from cludale.adapters.dapr.inbound import Inbound
from cludale.adapters.dapr.sidecar import Sidecar, SidecarAway
from cludale.adapters.dapr.subscriptions import DEAD_LETTERS_PATH, EVENTS_PATH, subscriptions
from cludale.kernel.events import Catalogue
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Refusal
from cludale.web.access import Access
from cludale.web.bodies import Body, check_no_body
from cludale.web.problems import Unauthorized
from cludale.web.responses import JSON, Response, json_response
from cludale.web.routing import Credential, Request, Route

TOKEN = b"dapr-api-token"
COMPONENTS_TRIES = 60
"""Half a second apart, at least: on a busy machine the sidecar may be slow to say what it has loaded, it asks for the
subscriptions once, and over JetStream no topic is heard by a component of another name."""
MAX_BODY_BYTES = 4 * 1024 * 1024
"""As much as a Dapr sidecar sends at once."""
CALLER = b"dapr-caller-app-id"
"""What Dapr says to a service that is called by another one through it."""

_log = logging.getLogger(__name__)


class NotFromTheSidecar(Unauthorized):
    """This is for this service's own Dapr sidecar, which shows the app's token."""

    def __init__(self) -> None:
        Refusal.__init__(self, "This is for the service's own Dapr sidecar: dapr-api-token: <APP_API_TOKEN>.")


class Consume(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Should events be taken, and how many at most? Until the process ends; then as CLUDALE_CONSUME… says."""

    consume: bool
    most: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """0: any number, and what is due."""


_consume_body = Body(Consume)


class AppToken:
    """The token that the sidecar shows (`APP_API_TOKEN`), checked in constant time."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises NotFromTheSidecar."""
        if not hmac.compare_digest(headers.get(TOKEN, b""), self._token):
            raise NotFromTheSidecar

    def check_call(self, headers: Mapping[bytes, bytes]) -> None:
        """A request of any route: if it says that it comes by Dapr, does it? Raises NotFromTheSidecar."""
        if CALLER in headers:
            self.check(headers)


def sidecar_routes(
    catalogue: Catalogue,
    inbound: Inbound,
    sidecar: Sidecar,
    token: AppToken,
    consumption: Consumption,
    access: Access,
    *,
    heard: frozenset[str],
    app_id: str,
    pubsub: str,
    hears_dead_letters: bool = True,
) -> list[Route]:
    """Every route that the sidecar calls, and the organizer's switch `/-/consume`.

    `hears_dead_letters`: False for a process that is a canary as long as it lives.
    """

    def guarded(method: str, path: str, handler: Callable[[bytes], Awaitable[Response]]) -> Route:
        async def check_first(request: Request) -> Response:
            token.check(request.headers)
            return await handler(request.body)

        return _internal(method, path, check_first)

    async def subscribe(_: bytes) -> Response:
        components = await _components(sidecar)
        wanted = subscriptions(
            catalogue,
            heard,
            app_id=app_id,
            pubsub=pubsub,
            components=components,
            dead_letters=hears_dead_letters,
        )
        _log.info("the sidecar subscribes to %s", ", ".join(each["topic"] for each in wanted) or "nothing")
        return json_response(wanted)

    async def config(_: bytes) -> Response:
        return json_response({})

    async def health(_: Request) -> Response:
        # The one call that the sidecar makes without the token. It changes nothing, and tells nothing.
        consumption.check()
        return json_response({"status": "consuming"})

    async def events(body: bytes) -> Response:
        return Response(200, await inbound.take(body), JSON)

    async def dead_letters(body: bytes) -> Response:
        return Response(200, await inbound.take_dead(body), JSON)

    return [
        *_consume_switch(consumption, access),
        guarded("GET", "/dapr/subscribe", subscribe),
        guarded("GET", "/dapr/config", config),
        _internal("GET", "/dapr/healthz", health),
        guarded("POST", DEAD_LETTERS_PATH, dead_letters),
        # All topics: those that nobody here hears are asked for by nobody, and answered SUCCESS.
        *(guarded("POST", EVENTS_PATH + topic.name, events) for topic in catalogue.topics),
    ]


async def _components(sidecar: Sidecar) -> Mapping[str, str]:
    """What the sidecar has loaded; it asks for the subscriptions only once, so it is waited for."""
    for _ in range(COMPONENTS_TRIES):
        try:
            return await sidecar.components()
        except SidecarAway as away:
            _log.warning("subscriptions wait: %s", away)
            await asyncio.sleep(0.5)
    return {}


def _consume_switch(consumption: Consumption, access: Access) -> tuple[Route, Route]:
    """Show and set whether events are taken, with a key that may operate the platform."""

    def guarded(method: str, handler: Callable[[Request], Awaitable[Response]]) -> Route:
        inner = _internal(method, "/-/consume", handler)
        return replace(inner, credential=Credential.ORGANIZER, scope=Scope.OPERATE, access=access)

    async def show(request: Request) -> Response:
        check_no_body(request.body)
        return json_response(Consume(consumption.wanted, consumption.most))

    async def switch(request: Request) -> Response:
        asked = _consume_body.decode(request.body)
        consumption.switch(wanted=asked.consume, most=asked.most)
        how_many = f", {asked.most} at most" if asked.most else ""
        _log.warning("events are %s from now on%s", "taken" if asked.consume else "not taken", how_many)
        return json_response(asked)

    return guarded("GET", show), guarded("PUT", switch)


def _internal(method: str, path: str, handler: Callable[[Request], Awaitable[Response]]) -> Route:
    return Route(method=method, path=path, handle=handler, reads_body=True, max_body_bytes=MAX_BODY_BYTES)
