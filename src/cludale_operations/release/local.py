"""The gateway and processes behind it as a platform of releases: what Container Apps is in Azure.

A revision is a set of backends. Its processes are started and stopped by a launcher; events are switched on and off
in each of them.
"""

import ssl
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import httpx
import msgspec

from cludale.web.trust import trust_named_in
from cludale_operations.gateway.control import BackendStatus, Control, Counts, ServiceStatus
from cludale_operations.gateway.routes import BackendRoute, Label, ServiceRoutes, Traffic
from cludale_operations.gateway.runtime import GatewayRefused
from cludale_operations.release.deployed import BLUE, GREEN, Deployed, DeployedService, Revision, Share
from cludale_operations.release.driver import Address, PlatformFailed
from cludale_operations.release.handlers import Handled, Tries
from cludale_operations.release.judgement import Backlog, Figures
from cludale_operations.release.prometheus import Samples, picked, quantile, samples, total
from cludale_operations.trust import trust_at

TIMEOUT_SECONDS = 10.0

Change = Callable[[ServiceRoutes], ServiceRoutes]


class _Mark(NamedTuple):
    """What was counted until then."""

    counts: Mapping[tuple[str, str], Counts]
    handled: Handled


class Launcher(Protocol):
    """Starts and stops the processes of revisions."""

    def start(self, service: str, image: str, revision: str) -> list[str]:
        """Start a revision that takes no events; the addresses of its processes. Raises PlatformFailed."""

    def stop(self, service: str, revision: str) -> None:
        """Stop a revision's processes; none there is as good."""

    def image(self, service: str, revision: str) -> str:
        """What the revision runs; empty if nobody knows."""


class NoLauncher:
    """For processes that somebody else starts and stops."""

    def start(self, service: str, image: str, revision: str) -> list[str]:
        """Not from here."""
        raise PlatformFailed(
            f"{revision} can't be started from here: start {image} yourself (CLUDALE_CONSUME=0), put it into the "
            f"gateway's routes as a revision of {service} with the label green, then promote it"
        )

    def stop(self, service: str, revision: str) -> None:
        """Left to whoever started it."""

    def image(self, service: str, revision: str) -> str:  # noqa: ARG002 - the protocol's
        """Nobody knows."""
        return ""


class _NoAnswer(PlatformFailed):
    """A process can't be reached, or breaks off."""


class LocalDriver:
    """The gateway."""

    def __init__(
        self,
        control: Control,
        url: str,
        organizer_key: str,
        launcher: Launcher,
        *,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`url` is where the gateway answers buyers, `trust` whom to believe there."""
        self._control = control
        self._url = url
        self._trust = trust
        self._organizer = {"authorization": f"Bearer {organizer_key}"}
        self._launcher = launcher
        # One for all calls to an address: each new one reads the certificates that are trusted first.
        self._clients: dict[str, httpx.Client] = {}

    def close(self) -> None:
        """Let go of the connections."""
        for each in self._clients.values():
            each.close()

    def _ask(self, method: str, backend: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """A process's answer, at an address that may say whom to trust there. Raises httpx.HTTPError, OSError."""
        if backend not in self._clients:
            trust = trust_at(backend, trust_named_in(backend))
            url = backend.partition("?")[0]
            self._clients[backend] = httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, verify=trust)
        return self._clients[backend].request(method, path, json=body, headers=headers)

    def deployed(self) -> Deployed:
        """Each service's revisions as the gateway has them now, with weights and labels."""
        try:
            status, routes = self._control.status(), self._control.routes()
        except GatewayRefused as error:
            raise PlatformFailed(str(error)) from error
        return {
            name: self._service(name, each, routes.services.get(name, ServiceRoutes())) for name, each in status.items()
        }

    def _service(self, name: str, status: ServiceStatus, routes: ServiceRoutes) -> DeployedService:
        ready: dict[str, list[bool]] = {each.revision: [] for each in routes.traffic}
        for backend in status.backends:
            ready.setdefault(backend.revision, []).append(backend.ready)
        return DeployedService(
            revisions={
                revision: Revision(
                    name=revision,
                    image=self._launcher.image(name, revision),
                    created=f"{place:06}",  # what comes later is put at the end
                    active=bool(of_it),
                    ready=bool(of_it) and all(of_it),
                )
                for place, (revision, of_it) in enumerate(ready.items())
            },
            traffic=tuple(Share(each.revision, each.weight, each.label) for each in routes.traffic),
        )

    def deploy(self, service: str, image: str, suffix: str) -> str:
        """Start a revision's processes and make them known to the gateway; the revision's name."""
        name = f"{service}--{suffix}"
        known = self.deployed()[service].revisions.get(name)
        if known is not None and known.active:
            if known.image != image:
                raise PlatformFailed(f"{name} is there with another image, {known.image}: take another suffix")
            return name
        backends = tuple(BackendRoute(url, name) for url in self._launcher.start(service, image, name))

        def join(routes: ServiceRoutes) -> ServiceRoutes:
            there = {each.revision for each in routes.backends}
            others = tuple(
                each
                for each in routes.traffic
                if each.revision != name and (each.revision in there or each.label is not None)
            )
            return ServiceRoutes((*routes.backends, *backends), (*others, Traffic(name)))

        self._change(service, join)
        return name

    def label(self, service: str, label: str, revision: str) -> None:
        """Give the label to the revision."""
        wanted = msgspec.convert(label, Label)

        def relabel(routes: ServiceRoutes) -> ServiceRoutes:
            return _with_traffic(
                routes,
                lambda each: wanted if each.revision == revision else None if each.label == wanted else each.label,
            )

        self._change(service, relabel)

    def swap(self, service: str) -> None:
        """Blue becomes green, green becomes blue."""
        places: Mapping[Label | None, Label] = {BLUE: GREEN, GREEN: BLUE}
        self._change(service, lambda routes: _with_traffic(routes, lambda each: places.get(each.label, each.label)))

    def weigh(self, service: str, weights: Mapping[str, int]) -> None:
        """Split the traffic so; what is not named gets nothing."""

        def reweigh(routes: ServiceRoutes) -> ServiceRoutes:
            return ServiceRoutes(
                routes.backends,
                tuple(Traffic(each.revision, weights.get(each.revision, 0), each.label) for each in routes.traffic),
            )

        self._change(service, reweigh)

    def consume(self, service: str, revision: str) -> None:
        """Let its processes take events."""
        for url in self._backends(service, revision):
            self._switch(revision, url, wanted=True)

    def consume_few(self, service: str, revision: str, most: int) -> None:
        """Let its first process take so many events at most."""
        for url in self._backends(service, revision)[:1]:
            self._switch(revision, url, wanted=True, most=most)

    def consumes_all(self, service: str, revision: str) -> bool:
        """Does each of its processes take any number of events?"""
        said = [self._answer(revision, "GET", url).json() for url in self._backends(service, revision)]
        return bool(said) and all(each["consume"] and not each.get("most", 0) for each in said)

    def stop_consuming(self, service: str, revision: str) -> None:
        """Let them take none any more."""
        for url in self._backends(service, revision):
            self._switch(revision, url, wanted=False)

    def _switch(self, revision: str, url: str, *, wanted: bool, most: int = 0) -> None:
        # The versions before know no `most`.
        body = {"consume": wanted, **({"most": most} if most else {})}
        try:
            self._answer(revision, "PUT", url, body)
        except _NoAnswer:
            if wanted:
                raise
            # what does not answer takes nothing

    def _answer(self, revision: str, method: str, url: str, body: object = None) -> httpx.Response:
        """What a process says of the events that it takes. Raises PlatformFailed."""
        try:
            answer = self._ask(method, url, "/-/consume", body, **self._organizer)
        except (httpx.HTTPError, OSError) as error:
            raise _NoAnswer(f"{revision} at {url}: {error}") from error
        if answer.is_error:
            raise PlatformFailed(f"{revision} at {url}: {answer.status_code} {answer.text[:200]}")
        return answer

    def deactivate(self, service: str, revision: str) -> None:
        """Take its processes out of the routes, then stop them."""
        if self._backends(service, revision):

            def leave(routes: ServiceRoutes) -> ServiceRoutes:
                return ServiceRoutes(
                    tuple(each for each in routes.backends if each.revision != revision), routes.traffic
                )

            self._change(service, leave)
        self._launcher.stop(service, revision)

    def _backends(self, service: str, revision: str) -> list[str]:
        try:
            routes = self._control.service(service)
        except GatewayRefused as error:
            raise PlatformFailed(str(error)) from error
        return [each.url for each in routes.backends if each.revision == revision]

    def _change(self, service: str, change: Change) -> None:
        try:
            self._control.change(service, change)
        except GatewayRefused as error:
            raise PlatformFailed(str(error)) from error

    def try_address(self, label: str) -> Address:
        """The gateway itself, asked for the label."""
        return Address(self._url, {"x-cludale-label": label}, self._trust)

    def mark(self) -> object:
        """The gateway's figures of now, and the processes'."""
        return _Mark(self._counts(), self._handled())

    def earlier(self) -> object:
        """When the gateway and the processes started."""
        return _Mark({}, {})

    def figures(self, service: str, revision: str, since: object) -> Figures:
        """What the gateway counted since then."""
        assert isinstance(since, _Mark)  # noqa: S101 - our own mark
        before = since.counts.get((service, revision), Counts())
        now = self._counts().get((service, revision), Counts())
        within = {bound: count - before.within.get(bound, 0) for bound, count in now.within.items()}
        timed = within.get(float("inf"), 0)
        return Figures(now.requests - before.requests, now.errors - before.errors, quantile(within, 0.99), timed)

    def _counts(self) -> Mapping[tuple[str, str], Counts]:
        try:
            return self._control.counts()
        except GatewayRefused as error:
            raise PlatformFailed(str(error)) from error

    def handled(self, since: object) -> Handled:
        """What the processes counted since then; of one that was started again meanwhile, since its start."""
        assert isinstance(since, _Mark)  # noqa: S101 - our own mark
        return {
            revision: {
                event_type: _tries_since(tries, since.handled.get(revision, {}).get(event_type, Tries()))
                for event_type, tries in outcomes.items()
            }
            for revision, outcomes in self._handled().items()
        }

    def _handled(self) -> Handled:
        found: dict[tuple[str, str], dict[str, Tries]] = {}
        for service, backend in self._ready():
            of_it = found.setdefault((service, backend.revision), {})
            for labels, count in picked(self._metrics(backend.url), "cludale_handler_outcomes_total"):
                if labels["outcome"] in Tries._fields:
                    came = Tries(**{labels["outcome"]: round(count)})
                    of_it[labels["type"]] = of_it.get(labels["type"], Tries()).plus(came)
        return found

    def backlog(self) -> Backlog:
        """What all the processes say of their events."""
        waiting = buried = 0.0
        for _, backend in self._ready():
            said = self._metrics(backend.url)
            waiting += total(said, "cludale_events_under_way")
            buried += total(said, "cludale_dead_letters_total")
        return Backlog(round(waiting), round(buried))

    def _ready(self) -> list[tuple[str, BackendStatus]]:
        """Each service's processes that are ready."""
        try:
            status = self._control.status()
        except GatewayRefused as error:
            raise PlatformFailed(str(error)) from error
        return [(name, backend) for name, each in status.items() for backend in each.backends if backend.ready]

    def _metrics(self, url: str) -> Samples:
        try:
            answer = self._ask("GET", url, "/metrics")
            answer.raise_for_status()
            return samples(answer.text)
        except (httpx.HTTPError, ValueError, OSError) as error:
            raise PlatformFailed(f"{url}/metrics: {error}") from error


def _tries_since(now: Tries, before: Tries) -> Tries:
    if now.events < before.events:
        return now
    return Tries(*(max(0, after - earlier) for after, earlier in zip(now, before, strict=True)))


def _with_traffic(routes: ServiceRoutes, label: Callable[[Traffic], Label | None]) -> ServiceRoutes:
    return ServiceRoutes(
        routes.backends, tuple(Traffic(each.revision, each.weight, label(each)) for each in routes.traffic)
    )
