"""The gateway as a whole: which request goes where, and what changes while it runs."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote_to_bytes

import msgspec

from cludale import __version__
from cludale.gateway.backend import Backend
from cludale.gateway.balance import Balance, Revision
from cludale.gateway.counts import BackendGauges, Counts
from cludale.gateway.exchange import Asker, Destination, Exchange
from cludale.gateway.limits import Limits
from cludale.gateway.messages import LABEL, Request
from cludale.gateway.problems import NoSuchLabel
from cludale.gateway.routes import BackendRoute, Routes, ServiceRoutes, address
from cludale.gateway.site import Site
from cludale.http.answers import Answer, json_answer
from cludale.http.framing import OPTIONS_OF_THE_SERVER, WHOLE_SERVER
from cludale.http.problems import MethodNotAllowed, NoSuchRoute
from cludale.kernel.refusals import Busy, NotFound

_log = logging.getLogger(__name__)

METRICS = b"metrics"
_READ = frozenset({b"GET", b"HEAD"})
_PAGE_METHODS = ("GET", "HEAD", "OPTIONS")
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class BackendStatus(msgspec.Struct, frozen=True):
    """How a backend stands, for people and for whoever decides about a release."""

    url: str
    revision: str
    ready: bool
    in_flight: int
    connections: int
    requests: int
    failures: int
    troubles: str = ""
    """Why it is not ready, in its own words."""


class ServiceStatus(msgspec.Struct, frozen=True):
    """A service's backends; `draining` are those that finish what they have and get nothing new."""

    backends: list[BackendStatus]
    draining: list[BackendStatus]


class Gateway:
    """Routes, backends and what is under way."""

    def __init__(self, site: Site, limits: Limits) -> None:
        self.limits = limits
        self.problems = site.problems
        self.counts = Counts(__version__, self._gauges)
        self.under_way: set[Exchange] = set()
        self.tick = 0
        self.routes = Routes({})
        self._site = site
        self._destinations = {name: Destination(name, Balance([])) for name in site.owners.values()}
        self._owners: Mapping[bytes, Destination] = {
            segment: self._destinations[name] for segment, name in site.owners.items()
        }
        self._backends: dict[tuple[str, int], Backend] = {}
        self._draining: list[tuple[str, str, Backend]] = []

    # Routes

    @property
    def backends(self) -> Iterable[Backend]:
        """All that may get requests."""
        return self._backends.values()

    def unknown(self, routes: Routes) -> list[str]:
        """Services in `routes` that no manifest knows."""
        return sorted(set(routes.services) - set(self._destinations))

    def apply(self, routes: Routes) -> list[Backend]:
        """Send by these routes from now on; nothing that is under way is lost. Gives the backends that are new."""
        before = {address(each.url): (name, each.revision) for name, each in _listed(self.routes)}
        known, self._backends = self._backends, {}
        new = []
        for name, destination in self._destinations.items():
            service = routes.services.get(name, ServiceRoutes())
            by_revision: dict[str, list[Backend]] = {each.revision: [] for each in service.traffic}
            for route in service.backends:
                at = address(route.url)
                backend = self._backends.get(at) or known.pop(at, None)
                if backend is None:
                    backend = Backend(*at, self.limits)
                    new.append(backend)
                self._backends[at] = backend
                by_revision.setdefault(route.revision, []).append(backend)
            traffic = {each.revision: each for each in service.traffic}
            destination.balance = Balance(
                [
                    Revision(revision, traffic[revision].weight, traffic[revision].label, backends)
                    if revision in traffic
                    else Revision(revision, 0, None, backends)
                    for revision, backends in by_revision.items()
                ]
            )
        self.routes = routes
        for at, backend in known.items():
            self._draining.append((*before[at], backend))
            backend.retire()
        return new

    def status(self) -> dict[str, ServiceStatus]:
        """How everything stands."""
        found = {name: ServiceStatus([], []) for name in self._destinations}
        for name, route in _listed(self.routes):
            found[name].backends.append(_status(route.revision, self._backends[address(route.url)]))
        for name, revision, backend in self._draining:
            found[name].draining.append(_status(revision, backend))
        return found

    def _gauges(self) -> Iterator[BackendGauges]:
        for name, route in _listed(self.routes):
            each = self._backends[address(route.url)]
            yield BackendGauges(
                name, route.revision, each.name, each.ready, each.in_flight, each.connections, each.requests,
                each.failures,
            )  # fmt: skip

    # Requests

    def handle(self, request: Request, asker: Asker) -> Exchange | Answer:
        """An answer of our own, or the exchange that brings one once it has begun."""
        path = request.path
        segment = path[1:].partition(b"/")[0]
        destination = self._owners.get(segment)
        if destination is None and b"%" in segment:
            destination = self._owners.get(unquote_to_bytes(segment))
        if destination is not None:
            return self._forwarded(destination, request, asker)
        if segment == METRICS and path != b"/metrics":
            return self._metrics_of(request, asker)
        return self._own(request.method, path)

    def _forwarded(self, destination: Destination, request: Request, asker: Asker) -> Exchange | Answer:
        label = request.header(LABEL)
        if label is None:
            return Exchange(self, destination, request, asker, destination.balance.by_weight())
        name = label.decode("latin-1")
        revision = destination.balance.labelled(name)
        if revision is None:
            return self.problems.answer(NoSuchLabel(name))
        return Exchange(self, destination, request, asker, revision, is_pinned=True)

    def _metrics_of(self, request: Request, asker: Asker) -> Exchange | Answer:
        """`/metrics/{service}` of one of its backends; `/metrics/{service}/{host:port}` of this one."""
        if request.method not in _READ:
            return self._not_read(request.method)
        name, _, wanted = request.path.decode("latin-1").removeprefix("/metrics/").partition("/")
        destination = self._destinations.get(name)
        if destination is None:
            return self.problems.answer(NotFound("service", name))
        asking = request._replace(target=b"/metrics")
        if not wanted:
            return self._forwarded(destination, asking, asker)
        for service, route in _listed(self.routes):
            backend = self._backends[address(route.url)]
            if service == name and backend.name == wanted:
                return Exchange(self, destination, asking, asker, backend)
        return self.problems.answer(NotFound("backend", wanted))

    def _own(self, method: bytes, path: bytes) -> Answer:
        if path == WHOLE_SERVER:
            return OPTIONS_OF_THE_SERVER
        page = self._site.pages.get(path)
        if page is None and path == b"/metrics":
            page = Answer(200, self.counts.text(), _METRICS_TYPE)
        elif page is None and path == b"/readyz":
            page = self._readiness(in_trouble_too=False)
        elif page is None and path == b"/readyz/replica":
            page = self._readiness(in_trouble_too=True)
        if page is None:
            return self.problems.answer(NoSuchRoute(path.decode("latin-1")))
        return page if method in _READ else self._not_read(method)

    def _not_read(self, method: bytes) -> Answer:
        """What a page of our own answers to other methods than those that read it."""
        if method == b"OPTIONS":
            return Answer(204, b"", headers=(("allow", ", ".join(_PAGE_METHODS)),))
        return self.problems.answer(MethodNotAllowed(method.decode(), _PAGE_METHODS))

    def _readiness(self, *, in_trouble_too: bool) -> Answer:
        """Has every service a backend that is ready; or one that is up and has said what does not work?"""
        away, troubles = [], []
        for name, each in sorted(self._destinations.items()):
            said = each.balance.troubles
            if said:
                troubles.append(f"{name}: {said}")
            elif not each.balance.is_ready:
                away.append(name)
        said_all = [f"Not up: {', '.join(away)}."] if away else []
        said_all += [] if in_trouble_too else troubles
        return self.problems.answer(Busy(" ".join(said_all))) if said_all else json_answer({"status": "ready"})

    # Time

    def patrol(self) -> None:
        """Look at the times of everything that is under way."""
        self.tick += 1
        for exchange in list(self.under_way):
            exchange.check_times(self.tick)
        for backend in self._backends.values():
            backend.close_unused(self.tick)
        self._draining = [each for each in self._draining if each[2].in_flight]

    def close(self) -> None:
        """Close all connections to backends."""
        for backend in [*self._backends.values(), *(each for _, _, each in self._draining)]:
            backend.close()


def _listed(routes: Routes) -> Iterator[tuple[str, BackendRoute]]:
    for name, service in routes.services.items():
        for route in service.backends:
            yield name, route


def _status(revision: str, backend: Backend) -> BackendStatus:
    return BackendStatus(
        url=f"http://{backend.name}",
        revision=revision,
        ready=backend.ready,
        in_flight=backend.in_flight,
        connections=backend.connections,
        requests=backend.requests,
        failures=backend.failures,
        troubles=backend.troubles,
    )
