"""Session, pairing and role rules: each has its end, and none gives more than was said."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace
from tests.fakes import NOON

from cludale.kernel.principals import DEFAULT_ORGANIZER, PrincipalKind, Scope
from cludale.kernel.roles import NoRole, Opens, RolesDisagree, mapping, opened
from cludale.ports.keys import KeyListing, ListedKey
from cludale.services.concerts.pairings import (
    MOST_GUESSES,
    MOST_PAIRINGS,
    Code,
    Pairing,
    PairingRefused,
    Pairings,
    TooManyPairings,
    offer,
    swap,
)
from cludale.services.concerts.sessions import (
    FORGOTTEN_AFTER,
    MOST_OF_ONE,
    Session,
    Sessions,
    SignedOut,
    SignedOutMeanwhile,
    SignInAgain,
    Staff,
    begin,
    end,
    end_others,
    lasting,
    seen,
    signed_out,
)
from cludale.web.keyring import KeyRing

HOUR = timedelta(hours=1)


def session(id: str = "session-1", of: str = "key-1") -> Session:
    return Session(
        id=id, digest="d", of=of, name="Ada", organizer="acme", scopes=(Scope.READ,), began_at=NOON,
        ends_at=NOON + HOUR, idle_seconds=600,
    )  # fmt: skip


def pairing(finds: str = "AAAA", **changes: object) -> Pairing:
    known = {"digest": "right", "name": "n", "organizer": "acme", "concert_id": "c", "ends_at": NOON + HOUR}
    return Pairing(finds=finds, **(known | changes))  # type: ignore[arg-type] # the caller's are of the right types


def test_a_session_is_forgotten_once_it_is_over_and_ending_it_twice_changes_nothing() -> None:
    began = begin(Sessions(), session(), now=NOON).state
    assert end(began, "session-1").state == Sessions()
    assert end(Sessions(), "session-1").state == Sessions()
    later = begin(began, session("session-2"), now=NOON + HOUR).state
    assert [each.id for each in later.sessions] == ["session-2"]


def vouched(id: str, of: str = "oidc:ada", *, sid: str = "", at: int = 100) -> Session:
    return replace(session(id, of), sid=sid, vouched_at=at)


def said(of: str = "oidc:ada", *, sid: str = "", at: int = 100) -> SignedOut:
    return SignedOut(of=of, sid=sid, at=at, until=NOON + timedelta(minutes=5))


@pytest.mark.parametrize(
    ("word", "left"),
    [
        (said(), ["later", "ben", "key"]),
        (said(sid="one"), ["two", "later", "ben", "key"]),  # one of before the name was kept goes, too
        (said("", sid="one"), ["two", "old", "later", "ben", "key"]),
        (said("oidc:ben", sid="one"), ["one", "two", "old", "later", "ben", "key"]),
        (said("oidc:cyd"), ["one", "two", "old", "later", "ben", "key"]),
    ],
)
def test_who_is_signed_out_at_the_issuer_has_no_session_of_before_here(word: SignedOut, left: list[str]) -> None:
    known = Sessions(
        sessions=(
            vouched("one", sid="one"),
            vouched("two", sid="two"),
            vouched("old", at=0),
            vouched("later", sid="one", at=101),
            vouched("ben", "oidc:ben", sid="three"),
            session("key"),
        )
    )
    ended = signed_out(known, word, now=NOON).state
    assert [each.id for each in ended.sessions] == left
    assert signed_out(ended, word, now=NOON).state is ended
    older = SignedOut(of=word.of, sid=word.sid, at=word.at - 1, until=word.until)
    assert signed_out(ended, older, now=NOON).state is ended  # sent again it does not make way for another


def test_who_is_signed_out_while_they_sign_in_is_not_signed_in() -> None:
    known = signed_out(Sessions(), said(at=100), now=NOON).state
    with pytest.raises(SignedOutMeanwhile):
        begin(known, vouched("one", at=100), now=NOON)
    for other in (vouched("later", at=101), vouched("ben", "oidc:ben"), session("key")):
        known = begin(known, other, now=NOON).state
    assert len(known.sessions) == 3
    later = signed_out(known, said("oidc:ben"), now=NOON + timedelta(minutes=5)).state
    assert [each.of for each in later.signed_out] == ["oidc:ben"]  # what is remembered has an end


def test_the_oldest_session_of_somebody_ends_where_there_would_be_too_many() -> None:
    sessions = begin(Sessions(), session("other", of="key-2"), now=NOON).state
    for number in range(MOST_OF_ONE + 1):
        sessions = begin(sessions, session(f"session-{number}"), now=NOON).state
    ids = [each.id for each in sessions.sessions]
    assert len(ids) == MOST_OF_ONE + 1
    assert "other" in ids
    assert "session-0" not in ids


def test_who_has_not_signed_in_for_long_is_in_no_list_any_more() -> None:
    staff = seen(Staff(), session(of="key-1"), now=NOON).state
    staff = seen(staff, session(of="key-2"), now=NOON + HOUR).state
    staff = seen(staff, session(of="key-1"), now=NOON + 2 * HOUR).state
    assert [(each.of, each.first_at, each.last_at) for each in staff.members] == [
        ("key-1", NOON, NOON + 2 * HOUR),
        ("key-2", NOON + HOUR, NOON + HOUR),
    ]
    later = seen(staff, session(of="key-3"), now=NOON + HOUR + FORGOTTEN_AFTER).state
    assert [each.of for each in later.members] == ["key-3", "key-1"]


def test_who_has_just_signed_in_ends_their_other_sessions_and_nobody_elses() -> None:
    known = Sessions(sessions=(session(), session("session-2"), session("session-3", of="another")))
    ended = end_others(known, "session-2", now=NOON + timedelta(minutes=5)).state
    assert [each.id for each in ended.sessions] == ["session-2", "session-3"]
    assert end_others(ended, "session-2", now=NOON).state is ended
    with pytest.raises(SignInAgain):
        end_others(known, "session-2", now=NOON + timedelta(minutes=6))


def test_no_session_outlasts_its_key() -> None:
    assert lasting(NOON, 7_200, NOON + HOUR) == NOON + HOUR
    assert lasting(NOON, 60, None) == NOON + timedelta(minutes=1)


class Time:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


def ring(time: Time, **changes: object) -> KeyRing:
    made = KeyRing(b"pepper", now=time, monotonic=lambda: 0.0)
    made.know_first("first")
    known = {"organizer": "acme", "scopes": (Scope.READ,), "ends_at": NOON + HOUR, "idle_seconds": 600.0} | changes
    listed = ListedKey(id="session-1", digest=made.digest("session-1.secret"), **known)  # type: ignore[arg-type]
    made.learn(
        KeyListing(version=1, keys=[listed, ListedKey(id="key-1", digest="", organizer="acme", scopes=())]),
        asked_at=0.0,
    )
    return made


def test_a_session_outlives_a_change_of_what_its_hash_is_made_with() -> None:
    first = ring(Time()).first_digests[0]
    keys = ring(Time(), of="the first key", of_digest=first)
    token = keys.stamped("session-1.secret")
    keys.use_peppers(b"new", [b"pepper"], renews=True)
    assert keys.find(token) is not None
    assert keys.find(keys.stamped(token)) is not None
    assert not keys.rehashed, "it ends before the former secret does"
    keys.use_peppers(b"new", [], renews=False)
    assert keys.find(token) is None


def test_a_session_ends_when_it_was_idle_and_in_any_case_at_its_end() -> None:
    time = Time()
    keys = ring(time)
    token = keys.stamped("session-1.secret")
    found = keys.find(token)
    assert found is not None
    assert (found.kind, found.organizer, found.scopes) == (PrincipalKind.PERSON, "acme", frozenset({Scope.READ}))
    time.now = NOON + timedelta(seconds=599)
    assert keys.find(token) is not None
    renewed = keys.stamped(token)
    time.now = NOON + timedelta(seconds=601)
    assert keys.find(token) is None
    assert keys.find(renewed) is not None
    time.now = NOON + HOUR
    assert keys.find(keys.stamped(renewed)) is None


@pytest.mark.parametrize("change", ["", ".", ".0.0", ".9999999999"])
def test_a_stamp_that_nobody_sealed_is_none(change: str) -> None:
    keys = ring(Time())
    assert keys.find(f"session-1.secret{change}") is None
    id, secret, seen, seal = keys.stamped("session-1.secret").split(".")
    assert keys.find(f"{id}.{secret}.{int(seen) + 60}.{seal}") is None
    assert keys.find(f"{id}.other.{seen}.{seal}") is None
    assert keys.find(keys.stamped("session-1.other")) is None


def test_a_session_ends_with_the_key_that_opened_it() -> None:
    for changes, is_good in (
        ({"of": "key-1"}, True),
        ({"of": "key-2"}, False),
        ({"of": "first", "of_digest": ring(Time()).first_digests[0]}, True),
        ({"of": "first", "of_digest": "another first one"}, False),
    ):
        keys = ring(Time(), **changes)
        assert (keys.find(keys.stamped("session-1.secret")) is not None) is is_good, changes


def test_a_code_is_read_however_it_was_typed() -> None:
    assert Code.read("o1ab-cdef-ghjk") == Code.read("0lAB CDEF GHJK") == Code("01AB", "CDEFGHJK")
    for wrong in ("", "01AB-CDEF", "01AB-CDEF-GHJU", "01AB-CDEF-GHJK-M"):
        with pytest.raises(PairingRefused):
            Code.read(wrong)


def test_a_code_is_good_once_and_for_a_while() -> None:
    offered = offer(Pairings(), pairing(), now=NOON).state
    swapped = swap(offered, "AAAA", "right", now=NOON).state
    assert swapped.paired == pairing()
    with pytest.raises(PairingRefused):
        swap(swapped, "AAAA", "right", now=NOON)
    with pytest.raises(PairingRefused):
        swap(offered, "AAAA", "right", now=NOON + HOUR)


def test_a_code_is_of_no_use_after_some_wrong_guesses() -> None:
    pairings = offer(Pairings(), pairing(), now=NOON).state
    for _ in range(MOST_GUESSES):
        pairings = swap(pairings, "AAAA", "wrong", now=NOON).state
        assert pairings.paired is None
    with pytest.raises(PairingRefused):
        swap(pairings, "AAAA", "right", now=NOON)


def test_codes_that_wait_have_a_bound() -> None:
    pairings = Pairings(pairings=tuple(pairing(f"{number:04}") for number in range(MOST_PAIRINGS)))
    with pytest.raises(TooManyPairings):
        offer(pairings, pairing(), now=NOON)
    assert len(offer(pairings, pairing(), now=NOON + HOUR).state.pairings) == 1


def test_roles_open_what_the_mapping_says_all_together() -> None:
    known = mapping("box office=sell, read; staff=catalogue,read@acme; north=door@acme/c1; ops=operate")
    assert opened(["box office", "ops", "x"], known) == Opens(frozenset({Scope.SELL, Scope.READ, Scope.OPERATE}))
    assert opened(["north"], known) == Opens(frozenset({Scope.DOOR}), "acme", "c1")
    assert opened(["cludale:read"], {}) == Opens(frozenset({Scope.READ}), DEFAULT_ORGANIZER)
    assert opened(["cludale:read@acme"], {}).organizer == "acme"
    for none in ([], ["x"], ["cludale:fly"], ["cludale:operate@acme"]):
        with pytest.raises(NoRole):
            opened(none, known)
    for several in (["box office", "staff"], ["staff", "north"]):
        with pytest.raises(RolesDisagree):
            opened(several, known)


@pytest.mark.parametrize(
    "text", ["a", "a=", "=read", "a=fly", "a=read@", "a=read@acme/", "a=operate@acme", "a=read;a=sell"]
)
def test_a_mapping_that_says_nothing_clear_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        mapping(text)
