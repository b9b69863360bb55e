"""What doors without network tell: in every order, doubled and late, it comes to the same end."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import permutations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes import NOON
from tests.seats import allocation

from cludale.kernel.allocation import Allocation, NumberedSeat
from cludale.services.tickets.domain import OrderTickets, admit, evolve, issue, reseat, transfer, undo
from cludale.services.tickets.events import Direction, RevokeReason, TicketRevoked, UndoReason
from cludale.services.tickets.merging import (
    ConflictKind,
    MergedScan,
    MergeResult,
    SeatNow,
    conflicts,
    merge,
    scan_id_of,
)

IN, OUT = Direction.IN, Direction.OUT


def seated(*numbers: int, moves: int = 0) -> Allocation:
    named = tuple(NumberedSeat(f"A-{number}", "A", str(number), number) for number in numbers)
    return msgspec.structs.replace(allocation(), numbered_seats=named, moves=moves or msgspec.UNSET)


def fresh() -> OrderTickets:
    return issue(None, order_id="order-1", allocation=allocation(quantity=2), key_id="k", now=NOON).state


def told(
    device: str,
    sequence: int,
    *,
    at: float = 0.0,
    number: int = 1,
    direction: Direction = IN,
    undone: UndoReason | None = None,
    generation: int = 1,
) -> MergedScan:
    """`at`: seconds after noon. Each device has a door of its own name."""
    when = NOON + timedelta(seconds=at)
    of = scan_id_of(device, sequence)
    return MergedScan(number, generation, f"door-{device}", direction, device, sequence, of, when, undone)


def merged(state: OrderTickets, batches: Iterable[Sequence[MergedScan]], now: datetime = NOON) -> OrderTickets:
    for batch in batches:
        state = merge(state, batch, now=now)[0].state
    return state


SCANS = (
    told("a", 1, at=10),
    told("b", 1, at=20),
    told("a", 2, at=30, direction=OUT),
    told("c", 1, at=5, undone=UndoReason.MISTAKE),
    told("b", 2, at=20, number=2),
)


def test_every_order_of_merges_each_doubled_comes_to_the_same_end() -> None:
    end = merged(fresh(), [SCANS])
    for order in permutations(SCANS):
        assert merged(fresh(), [[scan] for scan in (*order, *order[:2])]) == end


def test_how_scans_are_put_into_batches_changes_nothing() -> None:
    whole = merged(fresh(), [SCANS])
    assert whole == merged(fresh(), [SCANS[:2], SCANS[2:]]) == merged(fresh(), [SCANS[3:], SCANS[:3], SCANS])


_devices = st.sampled_from("abcdefghij")
_scan = st.builds(
    told,
    _devices,
    st.integers(1, 4),
    at=st.integers(0, 3_600).map(float),
    number=st.sampled_from((1, 2)),
    direction=st.sampled_from((IN, IN, OUT)),
    undone=st.sampled_from((None, None, None, UndoReason.TEST)),
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_an_hour_of_ten_devices_shuffled_doubled_and_late(data: st.DataObject) -> None:
    scans = data.draw(st.lists(_scan, max_size=30, unique_by=lambda scan: scan.scan_id))
    again = data.draw(st.permutations([*scans, *scans[: data.draw(st.integers(0, 30))]]))
    cut = data.draw(st.integers(0, len(again)))
    end = merged(fresh(), [scans])
    other = merged(fresh(), [again[:cut], again[cut:]], now=NOON + timedelta(hours=2))
    assert other == end
    kept = [move.scan_id for ticket in end.changed.values() for move in (*ticket.moves, *ticket.undone)]
    assert sorted(kept) == sorted(scan.scan_id for scan in scans)  # nothing that was scanned is lost
    _all_doubles_are_named(end, scans)


def _all_doubles_are_named(end: OrderTickets, scans: Sequence[MergedScan]) -> None:
    """By counting alone: so many came in while as many or more were inside."""
    found = {each.entered.scan_id for each in conflicts([end]) if each.kind is ConflictKind.DOUBLE_ENTRY}
    expected = set[str]()
    for number in (1, 2):
        inside = 0
        of = [scan for scan in scans if scan.number == number and scan.undone is None]
        for scan in sorted(of, key=lambda scan: (scan.at, scan.device, scan.sequence)):
            if scan.direction is OUT:
                inside = max(0, inside - 1)
                continue
            if inside:
                expected.add(scan.scan_id)
            inside += 1
    assert found == expected


def test_a_double_entry_is_named_with_both_doors_and_times_whoever_told_first() -> None:
    for scans in ((told("a", 1, at=10), told("b", 1, at=20)), (told("b", 1, at=20), told("a", 1, at=10))):
        (found,) = conflicts([merged(fresh(), [[scan] for scan in scans])])
        assert found.earlier is not None
        assert (found.kind, found.earlier.door, found.entered.door) == (ConflictKind.DOUBLE_ENTRY, "door-a", "door-b")
        assert (found.entered.at - found.earlier.at).total_seconds() == 10


def test_a_door_with_network_and_one_without_meet_in_the_same_list() -> None:
    online = admit(fresh(), 1, generation=1, door="north", scan_id="s", now=NOON + timedelta(seconds=15)).state
    end = merged(online, [[told("a", 1, at=10)]])
    (found,) = conflicts([end])
    assert (found.earlier and found.earlier.door, found.entered.door) == ("door-a", "north")


def test_a_scan_that_the_server_had_written_down_is_known() -> None:
    online = admit(fresh(), 1, generation=1, door="north", scan_id="a.1", now=NOON).state
    decision, results = merge(online, [told("a", 1)], now=NOON)
    assert (results, decision.events, decision.state) == ([MergeResult.KNOWN], (), online)


def test_what_did_not_count_stays_undone_however_late_it_is_told() -> None:
    plain, off = told("a", 1), told("a", 1, undone=UndoReason.TEST)
    for batches in ([[plain], [off]], [[off], [plain]], [[off]], [[plain, off]]):
        end = merged(fresh(), batches)
        assert (end.ticket(1).moves, len(end.ticket(1).undone)) == ((), 1)
    here = undo(merged(fresh(), [[plain]]), 1, reason=UndoReason.MISTAKE, now=NOON).state
    assert merged(here, [[plain]]) == here


@pytest.mark.parametrize("late", [False, True])
def test_void_and_replaced_tickets_that_let_in_are_written_down_and_named(late: bool) -> None:
    off = TicketRevoked(order_id="order-1", concert_id="concert-1", numbers=(2,), reason=RevokeReason.CANCELLED, step=2)
    state = fresh()
    scans = [told("a", 1, at=10), told("a", 2, at=10, number=2)]
    if late:  # the scan was before the ticket was void
        state = merged(state, [scans[1:]])
        off = msgspec.structs.replace(off, step=state.step + 1)
    state = evolve(state, off, at=NOON + timedelta(seconds=60 if late else 0))
    state = transfer(state, 1, holder=None, now=NOON).state
    end = merged(state, [scans])
    kinds = [each.kind for each in conflicts([end])]
    assert kinds == [ConflictKind.REPLACED, ConflictKind.VOID][: 1 if late else 2]


@pytest.mark.parametrize("is_later", [False, True])
def test_whoever_was_moved_meanwhile_is_named_with_the_seat_that_is_theirs(is_later: bool) -> None:
    """They are who the ticket is for, whenever they were let in; a stranger with a code of before is somebody else."""
    state = issue(None, order_id="order-1", allocation=seated(1, 2), key_id="k", now=NOON).state
    given = transfer(state, 2, holder=None, now=NOON).state
    scans = [told("a", 1, at=90 if is_later else 10), told("a", 2, at=100, number=2)]
    moved = reseat(given, seated(7, 8, moves=1), now=NOON + timedelta(seconds=60)).state
    end = merged(moved, [scans])
    assert end == reseat(merged(given, [scans]), seated(7, 8, moves=1), now=NOON).state
    theirs, stranger = conflicts([end])
    assert (theirs.kind, theirs.moved_to) == (ConflictKind.MOVED, SeatNow("A-7", "A", "7"))
    assert (stranger.kind, stranger.moved_to) == (ConflictKind.REPLACED, None)
    twice = merged(end, [[told("b", 1, at=120, generation=2)]])
    assert [each.kind for each in conflicts([twice])][-1] is ConflictKind.DOUBLE_ENTRY


def test_a_ticket_that_there_is_not_is_not_written_down() -> None:
    decision, results = merge(fresh(), [told("a", 1, number=9)], now=NOON)
    assert (results, decision.events) == ([MergeResult.UNKNOWN], ())
