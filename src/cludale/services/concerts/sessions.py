"""Session rules: who is signed in, as whom, and until when. No I/O, clock or HTTP; no token either, but its hash.

All sessions are one aggregate, in no event: it says who was where. What a person does is in the log without them.
"""

from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import NotFound

BY_ISSUER = "oidc:"
"""How the names of those begin whom an issuer vouches for."""
MOST_SESSIONS = 1_000
MOST_OF_ONE = 20
"""Sessions of one person, or of one key. The oldest ends where there would be more."""


class Session(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Somebody who is signed in. It is forgotten with its end."""

    id: str
    digest: str
    """The keyed hash of its token, hexadecimal."""
    of: str
    """Whose it is: the id of a key, or an issuer's name for a person (`oidc:…`)."""
    of_digest: str = ""
    """The keyed hash of the first key, where it was that: another first key ends it."""
    name: str
    """What to call them."""
    organizer: str
    scopes: tuple[Scope, ...]
    only_concert: str | None = None
    began_at: datetime
    ends_at: datetime
    idle_seconds: float
    """It ends after so long without a request."""


class Sessions(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """All of them, the oldest first."""

    sessions: tuple[Session, ...] = ()

    def session(self, id: str) -> Session:
        """The session. Raises NotFound."""
        for session in self.sessions:
            if session.id == id:
                return session
        raise NotFound("session", id)


def begin(sessions: Sessions, new: Session, *, now: datetime) -> Decision[Sessions]:
    """Sign somebody in. Those that are over are forgotten, so there is a bound."""
    live = [each for each in sessions.sessions if each.ends_at > now]
    of_them = [each.id for each in live if each.of == new.of]
    too_many = {*of_them[: max(0, len(of_them) + 1 - MOST_OF_ONE)]}
    kept = [each for each in live if each.id not in too_many]
    return Decision(Sessions(sessions=(*kept[max(0, len(kept) + 1 - MOST_SESSIONS) :], new)))


def end(sessions: Sessions, id: str) -> Decision[Sessions]:
    """Sign somebody out; again changes nothing."""
    kept = tuple(each for each in sessions.sessions if each.id != id)
    return Decision(sessions if len(kept) == len(sessions.sessions) else replace(sessions, sessions=kept))


def lasting(began_at: datetime, seconds: float, key_ends_at: datetime | None) -> datetime:
    """When a session ends at the latest: never after the key that opened it."""
    until = began_at + timedelta(seconds=seconds)
    return until if key_ends_at is None else min(until, key_ends_at)
