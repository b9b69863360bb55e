"""What the sidecar calls: subscriptions, deliveries, health; and the organizer's switch of consumption.

All of it below the framework, so that a bulk of events costs what its events cost. Whatever changes or tells something
wants a token: the app's own, or the organizer's key.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from cludale.adapters.dapr.inbound import Inbound
from cludale.adapters.dapr.sidecar import Sidecar, SidecarAway
from cludale.adapters.dapr.subscriptions import DEAD_LETTERS_PATH, EVENTS_PATH, subscriptions
from cludale.http.access import Access
from cludale.http.answers import JSON, Answer, json_answer
from cludale.http.bodies import Body, check_no_body
from cludale.http.problems import Unauthorized
from cludale.http.routing import ExpressHandler, ExpressRequest
from cludale.kernel.events import Catalogue
from cludale.kernel.refusals import Busy, Refusal

TOKEN = b"dapr-api-token"
COMPONENTS_TRIES = 10
CALLER = b"dapr-caller-app-id"
"""What Dapr says to a service that is called by another one through it."""

_log = logging.getLogger(__name__)


class NotFromTheSidecar(Unauthorized):
    """This is for this service's own Dapr sidecar, which shows the app's token."""

    def __init__(self) -> None:
        Refusal.__init__(self, "This is for the service's own Dapr sidecar: dapr-api-token: <APP_API_TOKEN>.")


class Consume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Should events be taken? Until the process ends; then it is as CLUDALE_CONSUME says."""

    consume: bool


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


class Consumption:
    """Does this process take events? Dapr subscribes when its health check here says so, and unsubscribes after."""

    def __init__(self, *, wanted: bool, is_ready: Callable[[], bool]) -> None:
        self.wanted = wanted
        self._is_ready = is_ready

    def check(self) -> None:
        """Raises Busy unless events are taken now."""
        if not self._is_ready():
            raise Busy("Starting or stopping.")
        if not self.wanted:
            raise Busy("Events are not wanted here now (CLUDALE_CONSUME, PUT /-/consume).")


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
) -> Mapping[tuple[str, str], ExpressHandler]:
    """(method, path) → handler: every route that the sidecar calls, and the organizer's switch `/-/consume`."""

    def guarded(handler: Callable[[bytes], Awaitable[Answer]]) -> ExpressHandler:
        async def check_first(request: ExpressRequest) -> Answer:
            token.check(request.headers)
            return await handler(request.body)

        return check_first

    async def subscribe(_: bytes) -> Answer:
        components: Mapping[str, str] = {}
        for _again in range(COMPONENTS_TRIES):  # it asks once, so it should have an answer
            try:
                components = await sidecar.components()
                break
            except SidecarAway as away:
                _log.warning("subscriptions wait: %s", away)
                await asyncio.sleep(0.5)
        wanted = subscriptions(catalogue, heard, app_id=app_id, pubsub=pubsub, components=components)
        _log.info("the sidecar subscribes to %s", ", ".join(each["topic"] for each in wanted) or "nothing")
        return json_answer(wanted)

    async def config(_: bytes) -> Answer:
        return json_answer({})

    async def health(_: ExpressRequest) -> Answer:
        # The one call that the sidecar makes without the token. It changes nothing, and tells nothing.
        consumption.check()
        return json_answer({"status": "consuming"})

    async def events(body: bytes) -> Answer:
        return Answer(200, await inbound.take(body), JSON)

    async def dead_letters(body: bytes) -> Answer:
        return Answer(200, await inbound.take_dead(body), JSON)

    async def see_consume(request: ExpressRequest) -> Answer:
        access.check_organizer(request.header(b"authorization"))
        check_no_body(request.body)
        return json_answer(Consume(consumption.wanted))

    async def set_consume(request: ExpressRequest) -> Answer:
        access.check_organizer(request.header(b"authorization"))
        consumption.wanted = _consume_body.decode(request.body).consume
        _log.warning("events are %s from now on", "taken" if consumption.wanted else "not taken")
        return json_answer(Consume(consumption.wanted))

    routes: dict[tuple[str, str], ExpressHandler] = {
        ("GET", "/-/consume"): see_consume,
        ("PUT", "/-/consume"): set_consume,
        ("GET", "/dapr/subscribe"): guarded(subscribe),
        ("GET", "/dapr/config"): guarded(config),
        ("GET", "/dapr/healthz"): health,
        ("POST", DEAD_LETTERS_PATH): guarded(dead_letters),
    }
    # All topics: those that nobody here hears are asked for by nobody, and answered SUCCESS.
    return routes | {("POST", EVENTS_PATH + topic.name): guarded(events) for topic in catalogue.topics}
