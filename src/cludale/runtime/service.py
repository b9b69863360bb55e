"""Service: what a manifest hands to compose: one service, whole, whatever it is made of."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from cludale.ports.bus import Handler
from cludale.runtime.replay import Replay
from cludale.runtime.sweeper import Sweep


async def nothing() -> None:
    """For a service that has nothing to stop."""


class Service(NamedTuple):
    """One of the five, ready to be put together with the others or to stand alone."""

    name: str
    hears: frozenset[str]
    """The event types that `handle` takes."""
    handle: Handler | None = None
    routes: Sequence[Any] = ()
    """Route handlers of the HTTP framework."""
    express: Mapping[tuple[str, str], Any] = {}
    """(method, path) → a handler below the framework, for the hot routes."""
    statuses: Mapping[type[Exception], int] = {}
    """The HTTP status of each of its refusals."""
    replay: Replay | None = None
    sweep: Sweep | None = None
    stop: Callable[[], Awaitable[None]] = nothing
