"""The driver of a running gateway: its routes changed and its figures read while it serves, by HAProxy's runtime API.

Nothing is started anew for a change, so no connection of a client is closed by one. The API is a socket that only its
owner may use. Changes wait for one another, whoever makes them; new routes are in the file before they count.
"""

import csv
import fcntl
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from cludale_operations.gateway.certificates import trust
from cludale_operations.gateway.configuration import (
    ALIVE,
    ANSWERS,
    BUCKET_SECONDS,
    CHECKED,
    ERRORS,
    KINDS,
    TIMES,
    GatewayLimits,
    Server,
    name_of,
    revision_of,
    servers,
)
from cludale_operations.gateway.routes import (
    BackendRoute,
    Routes,
    ServiceRoutes,
    UnusableRoutes,
    checked,
    decoded,
    encoded,
    place,
)
from cludale_operations.gateway.runtime import GatewayRefused, Runtime

SOCKET = "gateway.sock"
LOCK = "gateway.lock"
CHECKED_SECONDS = 3.0
"""How long a change waits for a new process to say that it is ready."""
_LOOK_SECONDS = 0.05

Row = Mapping[str, str]
_COUNTER = re.compile(r" gpc(\d+)=(\d+)")
_KEY = re.compile(r" key=(\S+)/(\S+) ")


class BackendStatus(msgspec.Struct, frozen=True):
    """How a backend stands, for people and for whoever decides about a release."""

    url: str
    revision: str
    ready: bool
    in_flight: int
    requests: int
    failures: int


class ServiceStatus(msgspec.Struct, frozen=True):
    """A service's backends; `draining` are those that finish what they have and get nothing new."""

    backends: list[BackendStatus]
    draining: list[BackendStatus]


class Counts(NamedTuple):
    """What a revision did since the gateway started. `errors`: answers of 5xx, or none."""

    requests: int = 0
    errors: int = 0
    within: Mapping[float, int] = {}
    """Seconds → so many were answered within them; without those that wait on purpose."""


class Control:
    """Reads and changes what a gateway does."""

    def __init__(self, routes: Path, folder: Path) -> None:
        """`folder`: the gateway's data folder, where its socket is."""
        self._routes = routes
        self._folder = folder
        self._runtime = Runtime(folder, SOCKET)
        self._told = self._runtime.told

    def routes(self) -> Routes:
        """The revisions, weights and labels of each service, as the file of routes has them. Raises GatewayRefused."""
        try:
            return decoded(self._routes.read_bytes())
        except (OSError, UnusableRoutes) as error:
            raise GatewayRefused(f"{self._routes}: {error}") from error

    def service(self, name: str) -> ServiceRoutes:
        """One service's routes. Raises GatewayRefused."""
        return self.routes().services.get(name, ServiceRoutes())

    def change(self, name: str, change: Callable[[ServiceRoutes], ServiceRoutes]) -> ServiceRoutes:
        """Change a service's routes, and return when they count. Raises GatewayRefused."""
        with self._changing():
            routes = self.routes()
            if name not in self.status():
                raise GatewayRefused(f"there is no service {name}")
            try:
                wanted = checked(Routes({**routes.services, name: change(routes.services.get(name, ServiceRoutes()))}))
            except UnusableRoutes as error:
                raise GatewayRefused(str(error)) from error
            try:
                _keep(self._routes, wanted)
            except OSError as error:
                raise GatewayRefused(f"{self._routes} can't be written: {error.strerror}") from error
            self._apply(name, wanted.services[name])
            return wanted.services[name]

    def _apply(self, name: str, routes: ServiceRoutes) -> None:
        rows = self._rows()
        wanted = servers(name, routes)
        self._trust(wanted, rows)
        commands: list[str] = []
        for backend, there in wanted.items():
            known = rows.get(backend, {})
            commands += (command for server in there.values() for command in _to_have(backend, server, known))
            for server in known.keys() - there.keys():
                # One that was taken out goes for good at the next change that finds it without a connection.
                commands.append(f"set server {backend}/{server} state maint")
                commands.append(f"del server {backend}/{server}")
        said = self._told(*commands)
        self._wait_for(wanted, rows)
        now = self._rows()
        for backend, each in ((backend, each) for backend, there in wanted.items() for each in there.values()):
            row = now.get(backend, {}).get(each.name)
            if row is None or _is_out(row) or row["weight"] != str(each.weight):
                raise GatewayRefused(f"{backend}/{each.name} is not as it should be: {' '.join(said.split())}")

    def _trust(self, wanted: Mapping[str, Mapping[str, Server]], before: Mapping[str, Mapping[str, Row]]) -> None:
        """Have HAProxy know the certificates of those that were not there. Raises GatewayRefused."""
        new = [each for backend, there in wanted.items() for name, each in there.items() if name not in before[backend]]
        for file in {each.trusted for each in new if each.trusted is not None}:
            try:
                trust(file, self._runtime)
            except OSError as error:
                raise GatewayRefused(f"{file} can't be read: {error.strerror}") from error

    def _wait_for(self, wanted: Mapping[str, Mapping[str, Server]], before: Mapping[str, Mapping[str, Row]]) -> None:
        """Until those that were not there have been asked whether they are ready; slow ones are not waited for."""
        new = [(backend, server) for backend, all_ in wanted.items() for server in all_.keys() - before[backend].keys()]
        deadline = time.monotonic() + CHECKED_SECONDS
        while new and time.monotonic() < deadline:
            rows = self._rows()
            new = [(backend, server) for backend, server in new if not rows[backend][server]["status"].startswith("UP")]
            time.sleep(_LOOK_SECONDS if new else 0)

    def begin(self) -> bool:
        """Let the gateway say whether it is ready, if each server was asked by now; False: not yet. Raises
        GatewayRefused.
        """
        rows = self._rows()
        servers = [row for name in _services(rows) for row in rows[name].values()]
        if any("INI" in row["check_status"] and row["status"].startswith("UP") for row in servers):
            return False
        said = self._told("experimental-mode on", f"set var {CHECKED} bool(1)")
        if said.strip():
            raise GatewayRefused(f"the gateway does not begin: {' '.join(said.split())}")
        return True

    def status(self) -> dict[str, ServiceStatus]:
        """How the backends stand. Raises GatewayRefused."""
        rows, routes = self._rows(), self._written()
        found = {}
        for name in _services(rows):
            known = {name_of(each.revision, place(each.url)): each.url for each in routes.get(name, ())}
            backends: list[BackendStatus] = []
            draining: list[BackendStatus] = []
            for server, row in rows[name].items():
                every = [there[server] for there in _all_of(name, rows) if server in there]
                status = BackendStatus(
                    url=known.get(server) or f"http://{row['addr'] or server.partition('_')[2]}",
                    revision=revision_of(server),
                    ready=row["status"].startswith("UP"),
                    in_flight=_sum(every, "scur"),
                    requests=_sum(every, "stot"),
                    failures=_sum(every, "eresp"),
                )
                if not _is_out(row):
                    backends.append(status)
                elif status.in_flight:
                    draining.append(status)
            found[name] = ServiceStatus(backends, draining)
        return found

    def _written(self) -> dict[str, tuple[BackendRoute, ...]]:
        """The backends that each service has by the file; none where it can't be read."""
        try:
            return {name: each.backends for name, each in self.routes().services.items()}
        except GatewayRefused:
            return {}

    def counts(self) -> dict[tuple[str, str], Counts]:
        """What each revision did, by service and revision. Raises GatewayRefused."""
        rows = self._rows()
        broken: Counter[tuple[str, str]] = Counter()
        for name in _services(rows):
            for server, row in ((each, row) for there in _all_of(name, rows) for each, row in there.items()):
                broken[name, revision_of(server)] += _sum([row], "eresp")
        found = {each: Counts(count, count) for each, count in broken.items()}
        for line in self._told(f"show table {TIMES}").splitlines():
            if key := _KEY.search(line):
                of_it = (key[1], key[2])
                counters = {int(number): int(count) for number, count in _COUNTER.findall(line)}
                found[of_it] = Counts(
                    broken[of_it] + counters[ANSWERS],
                    broken[of_it] + counters[ERRORS],
                    {bound: counters[at] for at, bound in enumerate(BUCKET_SECONDS)},
                )
        return found

    # HAProxy's runtime API

    def _rows(self) -> dict[str, dict[str, Row]]:
        """The figures of every server, by the names of backend and server."""
        found: dict[str, dict[str, Row]] = {}
        for row in csv.DictReader(self._told("show stat").lstrip("# ").splitlines()):
            if row["svname"] == "BACKEND":
                found.setdefault(row["pxname"], {})
            elif row["type"] == "2":
                found.setdefault(row["pxname"], {})[row["svname"]] = row
        return found

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One at a time, of all processes."""
        try:
            with (self._folder / LOCK).open("a") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise GatewayRefused(f"{self._folder / LOCK}: {error.strerror}") from error


def _to_have(backend: str, server: Server, known: Mapping[str, Row]) -> Iterator[str]:
    named = f"{backend}/{server.name}"
    is_new = server.name not in known
    if is_new:
        yield f"add server {named} {server.line(GatewayLimits())}"
        yield f"enable health {named}"
    if is_new or _is_out(known[server.name]):
        yield f"set server {named} state ready"
    if is_new:
        # it gets nothing before it has said that it is ready
        yield f"set server {named} health down"
    yield f"set server {named} weight {server.weight}"


def _is_out(row: Row) -> bool:
    return row["status"].startswith("MAINT")


def _services(rows: Mapping[str, object]) -> list[str]:
    return [name for name in rows if f"{name}.{ALIVE}" in rows]


def _all_of(name: str, rows: Mapping[str, Mapping[str, Row]]) -> Iterator[Mapping[str, Row]]:
    """The rows of a service's backends."""
    return (rows[each] for each in (name, *(f"{name}.{kind}" for kind in KINDS)))


def _sum(rows: list[Row], *columns: str) -> int:
    return sum(int(row[column] or 0) for row in rows for column in columns)


def _keep(file: Path, routes: Routes) -> None:
    """Write the routes down: the file has the old ones or the new ones, whatever happens. Raises OSError."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with draft.open("wb") as stream:
        stream.write(encoded(routes))
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
