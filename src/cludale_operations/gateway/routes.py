"""Where requests go, as it is written down: services, their backends, revisions, weights and labels. No I/O.

The same words as in Container Apps: a revision is one version of a service, run by one or more backends; traffic
gives revisions weights, which make 100, and labels, by which one is reached whatever its weight.
"""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Meta

from cludale.kernel.refusals import Invalid
from cludale.web.bodies import Body

NAME = r"^[a-z0-9][a-z0-9-]{0,63}$"

Name = Annotated[str, Meta(pattern=NAME, description="1 to 64 lower-case letters, digits, `-`; no `-` at the start")]
Weight = Annotated[int, Meta(ge=0, le=100)]
Label = Literal["blue", "green"]
LABELS: tuple[Label, ...] = ("blue", "green")

ONLY_REVISION = "main"
"""The revision of a backend that names none."""


class UnusableRoutes(ValueError):
    """Routes that can't be; the message says which part and why."""


class BackendRoute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One process of a service: `http://host:port`, or `https://host:port?cacertfile=/path` (web/trust.py)."""

    url: Annotated[str, Meta(max_length=512)]
    revision: Name = ONLY_REVISION


class Traffic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one revision gets: so many of 100 requests, and all that ask for its label."""

    revision: Name
    weight: Weight = 0
    label: Label | None = None


class ServiceRoutes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A service's backends and who gets what. Where there is one revision and no traffic is given, it gets all."""

    backends: Annotated[tuple[BackendRoute, ...], Meta(max_length=256)] = ()
    traffic: Annotated[tuple[Traffic, ...], Meta(max_length=64)] = ()


class Routes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it, by the services' names."""

    services: Annotated[dict[Name, ServiceRoutes], Meta(max_length=64)]


_ROUTES = Body(Routes)


def decoded(text: bytes) -> Routes:
    """Routes from JSON, checked and made whole. Raises UnusableRoutes."""
    try:
        return checked(_ROUTES.decode(text))
    except Invalid as error:
        raise UnusableRoutes(error.detail) from error


def encoded(routes: Routes) -> bytes:
    """JSON for files and for people."""
    return msgspec.json.format(msgspec.json.encode(routes, order="sorted"), indent=2) + b"\n"


def checked(routes: Routes) -> Routes:
    """The routes with nothing left to be guessed. Raises UnusableRoutes."""
    return Routes({name: _checked(name, service) for name, service in routes.services.items()})


def _checked(name: str, service: ServiceRoutes) -> ServiceRoutes:
    seen: set[str] = set()
    for backend in service.backends:
        host, port, _ = place(backend.url)
        if f"{host}:{port}" in seen:
            raise UnusableRoutes(f"{name}: {backend.url} is there twice")
        seen.add(f"{host}:{port}")
    traffic = service.traffic or _all_to_the_only(name, service)
    revisions = [each.revision for each in traffic]
    labels = [each.label for each in traffic if each.label is not None]
    if len(set(revisions)) < len(revisions):
        raise UnusableRoutes(f"{name}: a revision is in traffic twice")
    if len(set(labels)) < len(labels):
        raise UnusableRoutes(f"{name}: two revisions have the same label")
    total = sum(each.weight for each in traffic)
    if traffic and total != 100:
        raise UnusableRoutes(f"{name}: the weights make {total}, not 100")
    served = {backend.revision for backend in service.backends}
    for each in traffic:
        if each.weight and each.revision not in served:
            raise UnusableRoutes(f"{name}: revision {each.revision} has weight {each.weight} and no backend")
    return ServiceRoutes(service.backends, traffic)


def _all_to_the_only(name: str, service: ServiceRoutes) -> tuple[Traffic, ...]:
    revisions = sorted({backend.revision for backend in service.backends})
    if len(revisions) > 1:
        raise UnusableRoutes(f"{name}: traffic has to say who of {', '.join(revisions)} gets how much")
    return tuple(Traffic(revision, weight=100) for revision in revisions)


class Place(NamedTuple):
    """Where a backend listens."""

    host: str
    port: int
    trusted: Path | None = None
    """The certificate that it shows, over TLS; None: it is asked in the clear."""


def place(url: str) -> Place:
    """Host and port of a backend's address. Raises UnusableRoutes."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UnusableRoutes(f"{url!r} is no address: {error}") from error
    wanted = "http://host:port, or https://host:port?cacertfile=/the/certificate/that/it/shows"
    wrong = UnusableRoutes(f"{url!r} can't be a backend: expected {wanted}")
    if not host or port is None or parts.path not in ("", "/") or "@" in url:
        raise wrong
    if parts.scheme == "http" and not parts.query:
        return Place(host, port)
    trusted = parse_qs(parts.query).get("cacertfile", [])
    if parts.scheme != "https" or len(trusted) != 1 or not Path(trusted[0]).is_absolute():
        raise wrong
    return Place(host, port, Path(trusted[0]))
