"""What a door without network says by itself, and when that was."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.fakes import NOON
from tests.seats import allocation

from cludale.kernel.allocation import NumberedSeat
from cludale.services.tickets import codes
from cludale.services.tickets.domain import Movement, OrderTickets, admit, cancel, issue, reseat, transfer
from cludale.services.tickets.door import Open, Result
from cludale.services.tickets.events import Direction
from cludale.services.tickets.offline import (
    Anchor,
    Distrusted,
    OfflineScan,
    Reading,
    Snapshot,
    decide,
    in_sequence,
    put_right,
    read_snapshot,
    signed,
    snapshot,
)

KEY = codes.key_of(b"1" * 32)
PUBLIC = {KEY.id: codes.public_bytes(KEY.seed)}
HOURS = Open(NOON - timedelta(hours=1), NOON + timedelta(hours=10))
LIFE = timedelta(hours=12)


def issued(order_id: str) -> OrderTickets:
    return issue(None, order_id=order_id, allocation=allocation(quantity=2), key_id=KEY.id, now=NOON).state


def code(order_id: str, number: int = 1, *, generation: int = 1, concert: str = "concert-1") -> str:
    claims = codes.Claims(concert, order_id, number, 2, generation, "stalls", *HOURS)
    return codes.signed(claims, KEY)


def shot(*orders: OrderTickets, hours: Open = HOURS) -> Snapshot:
    return snapshot("concert-1", orders, keys=[KEY], hours=hours, reentry=False, life=LIFE, now=NOON)


def said(shown: Snapshot, text: str, own: Mapping[tuple[str, int], Sequence[Movement]] = {}) -> Result:
    return decide(shown, own, OfflineScan(text, "d.1"), now=NOON).scanned.result


def test_the_door_decides_by_itself_what_the_server_would() -> None:
    void = cancel(issued("order-2"), order_id="order-2", concert_id="concert-1", now=NOON).state
    given = transfer(issued("order-3"), 1, holder="Zoë", now=NOON).state
    used = admit(issued("order-4"), 1, generation=1, door="north", scan_id="s", now=NOON).state
    known = shot(void, given, used)
    assert said(known, code("order-1")) is Result.VALID
    assert said(known, code("order-2")) is Result.REVOKED
    assert said(known, code("order-3")) is Result.REPLACED
    assert said(known, code("order-3", generation=2)) is Result.VALID
    assert said(shot(), code("order-3", generation=2)) is Result.VALID  # given on since it was loaded
    assert said(known, code("order-4")) is Result.USED
    assert said(known, code("order-4", 2)) is Result.VALID
    assert said(known, code("order-1", concert="concert-2")) is Result.WRONG_CONCERT
    assert said(known, codes.signed(codes.read(code("order-1"), KEY), codes.key_of(b"2" * 32))) is Result.FORGED
    assert said(shot(hours=Open(NOON + timedelta(hours=1), HOURS.until)), code("order-1")) is Result.NOT_YET
    own = {("order-1", 1): [Movement(NOON, "here", "d.0", Direction.IN, "d", 0)]}
    assert said(known, code("order-1"), own) is Result.USED


def test_whoever_was_moved_is_told_their_seat_also_without_network() -> None:
    named = [NumberedSeat(f"A-{number}", "A", str(number), number) for number in (1, 2, 7)]
    seats = replace(allocation(quantity=2), numbered_seats=tuple(named[:2]))
    state = issue(None, order_id="order-1", allocation=seats, key_id=KEY.id, now=NOON).state
    moved = reseat(state, replace(seats, numbered_seats=(named[2], named[1]), moves=1), now=NOON).state
    sent = signed(shot(moved), KEY)
    known = read_snapshot(sent.body, PUBLIC, concert_id="concert-1")
    old = decide(known, {}, OfflineScan(code("order-1"), "d.1"), now=NOON).scanned
    assert (old.result, str(old.moved_to)) == (Result.REPLACED, str(named[2]))
    assert said(known, code("order-1", generation=2)) is Result.VALID
    assert said(known, code("order-1", 2)) is Result.VALID
    given = transfer(moved, 1, holder=None, now=NOON).state
    stranger = decide(shot(given), {}, OfflineScan(code("order-1"), "d.1"), now=NOON).scanned
    assert (stranger.result, stranger.moved_to) == (Result.REPLACED, None)


def test_a_snapshot_is_the_same_bytes_for_the_same_state_has_no_names_and_ends() -> None:
    given = transfer(issued("order-3"), 1, holder="Zoë", now=NOON).state
    sent = signed(shot(given), KEY)
    assert sent == signed(shot(given, issued("order-5")), KEY)  # nothing happened to that one
    assert sent.tag != signed(shot(), KEY).tag
    read = read_snapshot(sent.body, PUBLIC, concert_id="concert-1")
    assert read == shot(given)
    assert b"Zo" not in sent.body
    assert NOON + LIFE * 3 / 4 <= read.expires <= NOON + LIFE


def test_a_snapshot_that_was_changed_or_is_of_something_else_is_not_trusted() -> None:
    body = signed(shot(), KEY).body
    head, payload, signature = body.split(b".")
    for broken in (body[:-4] + b"AAAA", b"x", head + b"." + payload[:-8] + b"AAAAAAAA." + signature):
        with pytest.raises(Distrusted):
            read_snapshot(broken, PUBLIC, concert_id="concert-1")
    with pytest.raises(Distrusted, match="of concert"):
        read_snapshot(body, PUBLIC, concert_id="concert-2")
    with pytest.raises(Distrusted, match="no key"):
        read_snapshot(body, {}, concert_id="concert-1")


def test_a_wrong_clock_is_put_right_also_when_it_is_set_and_after_a_start() -> None:
    def reading(clock: float, seconds: float, boot: str = "a") -> Reading:
        return Reading(NOON + timedelta(seconds=clock), boot, seconds)

    ahead = Anchor(reading(7_200, 50), NOON)
    assert put_right(reading(7_260, 110), []) == NOON + timedelta(seconds=7_260)
    assert put_right(reading(7_260, 110), [ahead]) == NOON + timedelta(seconds=60)
    assert put_right(reading(-9_999, 110), [ahead]) == NOON + timedelta(seconds=60)  # somebody set it
    assert put_right(reading(7_300, 5, "b"), [ahead]) == NOON + timedelta(seconds=100)
    later = Anchor(reading(300, 60, "b"), NOON + timedelta(seconds=500))
    assert put_right(reading(7_300, 5, "b"), [ahead, later]) == NOON + timedelta(seconds=445)


def test_scans_keep_their_order_whatever_the_clock_said() -> None:
    times = [NOON, NOON - timedelta(hours=1), NOON + timedelta(seconds=1)]
    assert in_sequence(times, after=None) == [NOON, NOON, NOON + timedelta(seconds=1)]
    assert in_sequence(times[1:2], after=NOON) == [NOON]
