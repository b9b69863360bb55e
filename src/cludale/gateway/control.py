"""The way to a running gateway's admin API, for the command line and for releases."""

from types import TracebackType
from typing import Self

import httpx
import msgspec

from cludale.gateway.admin import ROUTES, STATUS
from cludale.gateway.gateway import ServiceStatus
from cludale.gateway.routes import Routes, ServiceRoutes, encoded

TIMEOUT_SECONDS = 10.0


class GatewayRefused(Exception):
    """The gateway did not do it; the message says why."""


class RoutesChangedMeanwhile(GatewayRefused):
    """Somebody else has changed the routes since they were read."""


class Control:
    """Reads and changes a gateway's routes."""

    def __init__(self, url: str, token: str) -> None:
        """Raises GatewayRefused for what is no URL."""
        self.url = url.rstrip("/")
        try:
            self._http = httpx.Client(
                base_url=self.url, headers={"authorization": f"Bearer {token}"}, timeout=TIMEOUT_SECONDS
            )
        except httpx.InvalidURL as error:
            raise GatewayRefused(f"{self.url!r} is no address of a gateway: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()

    def routes(self) -> Routes:
        """What goes where. Raises GatewayRefused."""
        return msgspec.json.decode(self._answer("GET", ROUTES).content, type=Routes)

    def service(self, name: str) -> tuple[ServiceRoutes, str]:
        """One service's routes, and their etag. Raises GatewayRefused."""
        answer = self._answer("GET", f"{ROUTES}/{name}")
        return msgspec.json.decode(answer.content, type=ServiceRoutes), answer.headers["etag"]

    def status(self) -> dict[str, ServiceStatus]:
        """How the backends stand. Raises GatewayRefused."""
        return msgspec.json.decode(self._answer("GET", STATUS).content, type=dict[str, ServiceStatus])

    def put(self, routes: Routes) -> None:
        """Set all routes. Raises GatewayRefused."""
        self._answer("PUT", ROUTES, encoded(routes))

    def put_service(self, name: str, routes: ServiceRoutes, etag: str) -> None:
        """Set one service's routes, if they are those of `etag`. Raises RoutesChangedMeanwhile, GatewayRefused."""
        self._answer("PUT", f"{ROUTES}/{name}", encoded(routes), {"if-match": etag})

    def _answer(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        try:
            answer = self._http.request(method, path, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise GatewayRefused(f"no answer from the gateway's admin API at {self.url}: {error}") from error
        if answer.status_code == 412:
            raise RoutesChangedMeanwhile(f"{path}: somebody else has changed the routes")
        if answer.is_error:
            raise GatewayRefused(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer
