"""The admin API: read and change the routes while the gateway runs. For its own listener, on loopback, with a token.

`GET` and `PUT /-/routes`, `/-/routes/{service}`: what goes where; an `If-Match` of an earlier `ETag` guards against
overwriting what somebody else has changed. `GET /-/status`: how the backends stand. New routes are in the file before
they count, so that a restart finds them, and new backends have been asked whether they are ready before PUT answers.
"""

import asyncio
import hmac
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec

from cludale.gateway import routes as written
from cludale.gateway.exchange import Asker
from cludale.gateway.gateway import Gateway
from cludale.gateway.health import check_all
from cludale.gateway.limits import Limits
from cludale.gateway.messages import Request
from cludale.gateway.problems import RoutesChanged, TokenNeeded
from cludale.gateway.routes import Routes, ServiceRoutes, UnusableRoutes
from cludale.http.answers import JSON, Answer
from cludale.http.bodies import check_no_body
from cludale.http.problems import MethodNotAllowed, NoSuchRoute
from cludale.kernel.refusals import Invalid, NotFound

ROUTES = "/-/routes"
STATUS = "/-/status"


class Admin:
    """Answers the requests of whoever runs the gateway."""

    def __init__(self, gateway: Gateway, file: Path, token: str) -> None:
        self.limits = Limits(body_bytes=written.LIMIT_BYTES, connections=64)
        self.problems = gateway.problems
        self._gateway = gateway
        self._file = file
        self._token = token.encode()
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def tick(self) -> int:
        """The gateway's clock."""
        return self._gateway.tick

    def handle(self, request: Request, asker: Asker) -> "_Change | Answer":
        """An answer, or the change that brings one."""
        scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self._token):
            return self.problems.answer(TokenNeeded())
        try:
            return self._routed(request, asker)
        except (Invalid, MethodNotAllowed, NoSuchRoute, NotFound) as error:
            return self.problems.answer(error)

    def _routed(self, request: Request, asker: Asker) -> "_Change | Answer":
        path, method = request.path.decode("latin-1"), request.method.decode()
        if path == STATUS:
            if method != "GET":
                raise MethodNotAllowed(method, ["GET"])
            check_no_body(request.body)
            return Answer(200, msgspec.json.encode(self._gateway.status()))
        if path != ROUTES and not path.startswith(ROUTES + "/"):
            raise NoSuchRoute(path)
        name = path[len(ROUTES) + 1 :] or None
        if name is not None and name not in self._gateway.status():
            raise NotFound("service", name)
        if method == "GET":
            check_no_body(request.body)
            return _answer(self._asked_for(name))
        if method != "PUT":
            raise MethodNotAllowed(method, ["GET", "PUT"])
        return _Change(self._put(name, request.body, request.header(b"if-match")), asker, self._tasks)

    def _asked_for(self, name: str | None) -> Routes | ServiceRoutes:
        routes = self._gateway.routes
        return routes if name is None else routes.services.get(name, ServiceRoutes())

    async def _put(self, name: str | None, body: bytes, if_match: bytes | None) -> Answer:
        async with self._changing:
            if if_match is not None and if_match.decode("latin-1") != written.etag(self._asked_for(name)):
                return self.problems.answer(RoutesChanged())
            try:
                wanted = self._decoded(name, body)
            except Invalid as error:
                return self.problems.answer(error)
            await asyncio.to_thread(keep, self._file, wanted)
            new = self._gateway.apply(wanted)
        await check_all(new, self._gateway.limits)
        return _answer(self._asked_for(name))

    def _decoded(self, name: str | None, body: bytes) -> Routes:
        try:
            if name is None:
                wanted = written.decoded(body)
            else:
                service = written.decoded_service(name, body)
                wanted = Routes({**self._gateway.routes.services, name: service})
        except UnusableRoutes as error:
            raise Invalid(("routes", str(error))) from error
        strangers = self._gateway.unknown(wanted)
        if strangers:
            raise Invalid(("services", f"there is no {', '.join(strangers)}"))
        return wanted


class _Change:
    """A change under way. Nobody waiting for it any more does not stop it."""

    def __init__(self, work: Coroutine[Any, Any, Answer], asker: Asker, tasks: "set[asyncio.Task[None]]") -> None:
        self._work = work
        self._asker: Asker | None = asker
        self._tasks = tasks

    def begin(self) -> None:
        """Go."""
        task = asyncio.get_running_loop().create_task(self._run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def abandon(self) -> None:
        """Nobody wants the answer any more."""
        self._asker = None

    async def _run(self) -> None:
        try:
            answer = await self._work
        except Exception as error:  # noqa: BLE001 - a full disk, say: whoever asked is told
            if self._asker is not None:
                self._asker.refused(error)
        else:
            if self._asker is not None:
                self._asker.answered(answer)


def _answer(routes: Routes | ServiceRoutes) -> Answer:
    return Answer(200, written.encoded(routes), JSON, (("etag", written.etag(routes)),))


def keep(file: Path, routes: Routes) -> None:
    """Write the routes down: the file has the old ones or the new ones, whatever happens. Raises OSError."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with draft.open("wb") as stream:
        stream.write(written.encoded(routes))
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
