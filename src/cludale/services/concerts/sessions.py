"""Session rules: who is signed in, as whom, and until when. No I/O, clock or HTTP; no token either, but its hash.

All sessions are one aggregate, in no event: it says who was where. What a person does is in the log without them.
"""

from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.ids import from_key
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import NotFound, Refusal

BY_ISSUER = "oidc:"
"""How the names of those begin whom an issuer vouches for."""
MOST_SESSIONS = 1_000
MOST_STAFF = 1_000
FORGOTTEN_AFTER = timedelta(days=90)
"""Who has not signed in for this long is taken off the list of staff."""
REMEMBERED_FOR = timedelta(minutes=5)
"""How long it is known that an issuer signed somebody out: longer than a sign-in takes to ask it."""
JUST_SIGNED_IN = timedelta(minutes=5)
"""How long ago somebody may have signed in who ends their other sessions."""
MOST_SIGNED_OUT = 1_000
MOST_OF_ONE = 20
"""Sessions of one person, or of one key. The oldest ends where there would be more."""


class Session(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Somebody who is signed in. It is forgotten with its end."""

    id: str
    digest: str
    """The keyed hash of its token, hexadecimal."""
    of: str
    """Who signed in: the id of a key, or an issuer's name for a person (`oidc:…`)."""
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
    roles: tuple[str, ...] = ()
    """What the issuer said; none for sessions of before it was kept, and for those of keys."""
    sid: str = ""
    """The issuer's name for its own session; empty where it says none, for sessions of before, and for keys."""
    vouched_at: int = 0
    """When the issuer vouched for them, by its clock, in Unix seconds; 0 for sessions of before, and for keys."""


class SignedOut(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What an issuer said of its own accord: that somebody is signed out."""

    of: str = ""
    """The person whose session is over; empty: whoever has the session `sid`."""
    sid: str = ""
    """Which session; empty: all of theirs."""
    at: int
    """When it said so, by its own clock, in Unix seconds."""
    until: datetime
    """Remembered for so long: a sign-in that was under way then is no session."""

    def ends(self, session: Session) -> bool:
        """Is this session over by it? Not one that the issuer vouched for later: so it may be said again and again."""
        if session.vouched_at > self.at or not session.of.startswith(BY_ISSUER):
            return False
        if not self.of:
            return session.sid == self.sid
        return session.of == self.of and (not self.sid or session.sid in (self.sid, ""))


class SignedOutMeanwhile(Refusal):
    """The issuer signed them out while they signed in."""

    def __init__(self) -> None:
        super().__init__("You were signed out meanwhile: begin again.")


class SignInAgain(Refusal):
    """Whoever has found a session open is not to end the others: it takes a key, or the issuer's word, once more."""

    def __init__(self) -> None:
        super().__init__("Sign out, sign in again, and do it within five minutes.")


class Sessions(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """All of them, the oldest first."""

    sessions: tuple[Session, ...] = ()
    signed_out: tuple[SignedOut, ...] = ()
    """What issuers said of late, the last one at the end; none in records of before."""

    def session(self, id: str) -> Session:
        """The session. Raises NotFound."""
        for session in self.sessions:
            if session.id == id:
                return session
        raise NotFound("session", id)


class Member(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Somebody who has signed in, as they were the last time."""

    of: str
    name: str
    organizer: str
    scopes: tuple[Scope, ...]
    only_concert: str | None = None
    roles: tuple[str, ...] = ()
    first_at: datetime
    last_at: datetime
    """When they signed in last."""

    @property
    def id(self) -> str:
        """The member's id in paths."""
        return from_key("person", self.of)


class Staff(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """All who have signed in, who did so first at the end."""

    members: tuple[Member, ...] = ()


def seen(staff: Staff, session: Session, *, now: datetime) -> Decision[Staff]:
    """Keep that somebody has signed in. Who has not for long is forgotten, so there is a bound."""
    before = next((each for each in staff.members if each.of == session.of), None)
    member = Member(
        of=session.of,
        name=session.name,
        organizer=session.organizer,
        scopes=session.scopes,
        only_concert=session.only_concert,
        roles=session.roles,
        first_at=now if before is None else before.first_at,
        last_at=now,
    )
    kept = [each for each in staff.members if each.of != session.of and now - each.last_at < FORGOTTEN_AFTER]
    return Decision(Staff(members=(member, *kept[: MOST_STAFF - 1])))


def end_all_of(sessions: Sessions, person_id: str) -> Decision[Sessions]:
    """Sign somebody out everywhere; again changes nothing."""
    kept = tuple(each for each in sessions.sessions if from_key("person", each.of) != person_id)
    return Decision(sessions if len(kept) == len(sessions.sessions) else replace(sessions, sessions=kept))


def end_others(sessions: Sessions, own_id: str, *, now: datetime) -> Decision[Sessions]:
    """Sign somebody out everywhere but here, who has just signed in. Raises NotFound, SignInAgain."""
    own = sessions.session(own_id)
    if now - own.began_at > JUST_SIGNED_IN:
        raise SignInAgain
    kept = tuple(each for each in sessions.sessions if each.of != own.of or each.id == own_id)
    return Decision(sessions if len(kept) == len(sessions.sessions) else replace(sessions, sessions=kept))


def begin(sessions: Sessions, new: Session, *, now: datetime) -> Decision[Sessions]:
    """Sign somebody in. Those that are over are forgotten, so there is a bound. Raises SignedOutMeanwhile."""
    if any(each.ends(new) for each in sessions.signed_out):
        raise SignedOutMeanwhile
    live = [each for each in sessions.sessions if each.ends_at > now]
    of_them = [each.id for each in live if each.of == new.of]
    too_many = {*of_them[: max(0, len(of_them) + 1 - MOST_OF_ONE)]}
    kept = [each for each in live if each.id not in too_many]
    return Decision(replace(sessions, sessions=(*kept[max(0, len(kept) + 1 - MOST_SESSIONS) :], new)))


def signed_out(sessions: Sessions, said: SignedOut, *, now: datetime) -> Decision[Sessions]:
    """End what the issuer says is over; again changes nothing."""
    if any((each.of, each.sid) == (said.of, said.sid) and each.at >= said.at for each in sessions.signed_out):
        return Decision(sessions)
    kept = tuple(each for each in sessions.sessions if not said.ends(each))
    known = [each for each in sessions.signed_out if each.until > now and (each.of, each.sid) != (said.of, said.sid)]
    return Decision(Sessions(sessions=kept, signed_out=(*known[max(0, len(known) + 1 - MOST_SIGNED_OUT) :], said)))


def end(sessions: Sessions, id: str) -> Decision[Sessions]:
    """Sign somebody out; again changes nothing."""
    kept = tuple(each for each in sessions.sessions if each.id != id)
    return Decision(sessions if len(kept) == len(sessions.sessions) else replace(sessions, sessions=kept))


def lasting(began_at: datetime, seconds: float, key_ends_at: datetime | None) -> datetime:
    """When a session ends at the latest: never after the key that opened it."""
    until = began_at + timedelta(seconds=seconds)
    return until if key_ends_at is None else min(until, key_ends_at)
