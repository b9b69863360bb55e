"""What a platform has to be able to do, so that releases can be made on it."""

import ssl
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from cludale_operations.release.deployed import Deployed
from cludale_operations.release.handlers import Handled
from cludale_operations.release.judgement import Backlog, Figures
from cludale_operations.trust import trust_at


class PlatformFailed(Exception):
    """The platform did not do it; the message says what and why."""


class Address(NamedTuple):
    """Where blue or green is reached for a trial, and the headers to send there."""

    url: str
    headers: Mapping[str, str]
    trust: ssl.SSLContext | None = None
    """Of whoever asks there; None: whom everybody trusts."""

    @property
    def verify(self) -> ssl.SSLContext | bool:
        """`trust`, as httpx is told it."""
        return trust_at(self.url, self.trust)


class Driver(Protocol):
    """A platform. All calls are bounded in time, may be repeated, and raise PlatformFailed."""

    def deployed(self) -> Deployed:
        """What runs where, now."""

    def deploy(self, service: str, image: str, suffix: str) -> str:
        """Start a revision that gets no traffic and takes no events, or find it there; its name."""

    def label(self, service: str, label: str, revision: str) -> None:
        """Give the label to the revision; who had it loses it."""

    def swap(self, service: str) -> None:
        """Blue becomes green, green becomes blue."""

    def weigh(self, service: str, weights: Mapping[str, int]) -> None:
        """Split the traffic so; what is not named gets nothing."""

    def consume(self, service: str, revision: str) -> None:
        """Let it take events, and run if it doesn't. A platform may make another revision of it, with its labels."""

    def consume_few(self, service: str, revision: str, most: int) -> None:
        """Let one process of it take so many events at most, no dead letters, and nothing else that is due.

        A platform may make another revision for that, with its labels. Again: so many more.
        """

    def consumes_all(self, service: str, revision: str) -> bool:
        """Does it take events, any number?"""

    def stop_consuming(self, service: str, revision: str) -> None:
        """Let it take no events any more."""

    def deactivate(self, service: str, revision: str) -> None:
        """Stop its processes, once they have finished what they have. Not running is as good."""

    def try_address(self, label: str) -> Address:
        """Where this colour of all services is reached, whatever its weights."""

    def mark(self) -> object:
        """A mark of this moment; `figures` and `handled` count from a mark on."""

    def earlier(self) -> object:
        """Some hours ago, or as far back as is known, for `figures`."""

    def figures(self, service: str, revision: str, since: object) -> Figures:
        """What the revision did since then."""

    def handled(self, since: object) -> Handled:
        """What became of events in the handlers of each revision since then, as far as the platform knows by now."""

    def backlog(self) -> Backlog:
        """How the events stand."""
