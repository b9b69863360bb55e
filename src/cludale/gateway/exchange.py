"""One request on its way: which backend gets it, what the client is told.

It is sent to another backend only where the first has not got a byte of it. One exception: a GET or HEAD, which change
nothing, over a connection that had been in use and that ended before a byte of the answer came. That is how a server
looks that stops, or tires of an idle connection, and asking once more does no harm.
"""

from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from cludale.gateway.backend import Backend
from cludale.gateway.balance import Balance, Revision
from cludale.gateway.messages import Passed, Request
from cludale.gateway.problems import BackendsFull, BrokeOff, NoAnswerInTime, NoBackend
from cludale.http.answers import Answer

if TYPE_CHECKING:
    from cludale.gateway.gateway import Gateway

_CHANGES_NOTHING = frozenset({b"GET", b"HEAD"})


class Destination:
    """A service, as it is reached now."""

    def __init__(self, name: str, balance: Balance[Backend]) -> None:
        self.name = name
        self.balance = balance


class Asker(Protocol):
    """Who wants the answer."""

    def passed(self, answer: Passed, revision: bytes) -> None:
        """A backend's answer."""

    def answered(self, answer: Answer) -> None:
        """An answer of the gateway's own."""

    def refused(self, error: Exception) -> None:
        """There is none, and why."""


class Exchange:
    """From a whole request to its end, which comes exactly once."""

    __slots__ = (
        "_asker", "_backend", "_began", "_gateway", "_has_asked_again", "_is_full", "_is_late", "_is_pinned",
        "_method", "_revision", "_since", "_to", "_tried", "_waits", "destination", "to_head", "wire",
    )  # fmt: skip

    def __init__(
        self,
        gateway: "Gateway",
        destination: Destination,
        request: Request,
        asker: Asker,
        to: Revision[Backend] | Backend | None,
        *,
        is_pinned: bool = False,
    ) -> None:
        """One that is to go `to` a revision, or to this backend and no other, ready or not.

        Where nothing of the revision is up, another that has weight gets it, unless it is pinned.
        """
        self.destination = destination
        self.wire = request.to_backend()
        self.to_head = request.method == b"HEAD"
        self._gateway = gateway
        self._method = request.method
        self._asker: Asker | None = asker
        self._to = to
        self._revision = ""
        self._backend: Backend | None = None
        self._tried: tuple[Backend, ...] = ()
        self._is_pinned = is_pinned
        self._waits = request.waits
        self._is_late = False
        self._is_full = False
        self._has_asked_again = False
        self._since = gateway.tick
        self._began = perf_counter()

    def begin(self) -> None:
        """Send it. Its end may come before this returns."""
        self._gateway.under_way.add(self)
        if isinstance(self._to, Backend):
            self._backend = self._to
            self._to.send(self)
        else:
            self._send(self._to)

    def abandon(self) -> None:
        """Nobody wants the answer any more. What was sent is finished all the same."""
        self._asker = None
        if self._backend is not None and self._backend.take_back(self):
            self._gateway.under_way.discard(self)

    def check_times(self, tick: int) -> None:
        """Has it waited too long for a connection, or for its answer?"""
        backend, limits = self._backend, self._gateway.limits
        waited = tick - self._since
        if backend is None or waited < limits.ticks(limits.waiting_seconds):
            return
        if backend.take_back(self):
            self._refuse(BackendsFull(self.destination.name))
        elif waited > limits.ticks(limits.answer_seconds):
            self._is_late = True
            backend.give_up(self)

    def _send(self, revision: Revision[Backend] | None) -> None:
        revision, backend = self._chosen(revision)
        if revision is not None:
            self._revision = revision.name
        if backend is None:
            name = self.destination.name
            self._refuse(BackendsFull(name) if self._is_full else NoBackend(name))
        else:
            self._backend = backend
            backend.send(self)

    def _chosen(self, revision: Revision[Backend] | None) -> tuple[Revision[Backend] | None, Backend | None]:
        """The backend that gets it, and its revision.

        Where nobody is ready, one that has said why: it can still be read from, and says best what can't be done now.
        """
        if revision is None:
            return None, None
        others = () if self._is_pinned else tuple(self.destination.balance.others(revision))
        for each in (revision, *others):
            backend = each.choose(self._tried)
            if backend is not None:
                return each, backend
        for each in (revision, *others):
            backend = each.choose_in_trouble(self._tried)
            if backend is not None:
                return each, backend
        return revision, None

    def _send_elsewhere(self) -> None:
        """To another backend; the routes may have changed meanwhile."""
        balance = self.destination.balance
        revision = balance.revisions.get(self._revision)
        if revision is None and not self._is_pinned:
            revision = balance.by_weight()
        self._send(revision)

    # What the backend tells

    def answered(self, passed: Passed) -> None:
        """The backend's answer."""
        self._ended(passed.status)
        if self._asker is not None:
            self._asker.passed(passed, self._revision.encode())

    def not_received(self, *, is_full: bool) -> None:
        """The backend has not got a byte of it: another may have it."""
        self._is_full = is_full
        if self._asker is None:
            self._gateway.under_way.discard(self)
            return
        if self._backend is not None:
            self._tried += (self._backend,)
        if not self._revision:
            self._refuse(NoBackend(self.destination.name))  # it was for that backend alone
        else:
            self._send_elsewhere()

    def broke_off(self, why: str, *, is_stale: bool) -> None:  # noqa: ARG002 - the log has it from the backend
        """The backend may have got it, and there is no answer."""
        if is_stale and self._method in _CHANGES_NOTHING and not (self._has_asked_again or self._is_late):
            self._has_asked_again = True
            if self._revision and self._asker is not None:
                self._send_elsewhere()
                return
        name = self.destination.name
        late = NoAnswerInTime(name, self._gateway.limits.answer_seconds)
        self._refuse(late if self._is_late else BrokeOff(name))

    def _refuse(self, error: Exception) -> None:
        self._ended(self._gateway.problems.status_of(type(error)) or 500)
        if self._asker is not None:
            self._asker.refused(error)

    def _ended(self, status: int) -> None:
        gateway = self._gateway
        gateway.under_way.discard(self)
        seconds = None if self._waits else perf_counter() - self._began
        gateway.counts.add(self.destination.name, self._revision, status, seconds)
