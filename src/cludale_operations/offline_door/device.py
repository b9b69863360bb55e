"""What a door device does with a code: asks the server, or decides by itself while that is away, and tells it later."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

import msgspec

from cludale.kernel.allocation import NumberedSeat
from cludale.services.tickets import offline
from cludale.services.tickets.domain import Movement, parsed_id
from cludale.services.tickets.door import Result, Scanned
from cludale.services.tickets.events import Direction
from cludale.services.tickets.offline import Anchor, OfflineScan, Reading, Snapshot
from cludale_operations.offline_door.journal import Journal

BATCH = 200
"""How many scans are told at once."""
TRIES = 3
"""How often a clock that the server calls wrong is put right in one talk."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PROCESS = uuid4().hex


class Reply(NamedTuple):
    """What the server answered."""

    status: int
    body: bytes
    tag: str | None = None


class Server(Protocol):
    """The way to the server."""

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, tag: str | None = None
    ) -> Reply | None:
        """Its answer; None: there was none, or it is busy."""
        ...


class Spoken(NamedTuple):
    """What the device says to a code."""

    scanned: Scanned
    number: int | None = None
    quantity: int | None = None
    section: str | None = None
    by_itself: bool = False
    """The server was not asked."""
    is_stale: bool = False
    """What the device goes by is too old: it can't say anything without the server."""


class Synced(NamedTuple):
    """What came of a talk with the server."""

    told: int
    conflicts: list[dict[str, Any]]
    """Whom doors let in that should not have been, among what was told."""
    not_taken: int
    """Scans that the server did not take: their codes are none of its."""


class NotAllowed(Exception):
    """The server does not take this device's key, or knows no such concert; the message says why."""


def read_clocks() -> Reading:
    """The clock of the day, and the one that counts on through sleep and through whoever sets the other."""
    try:
        boot = _BOOT.read_text(encoding="ascii").strip()
        seconds = time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, AttributeError):  # not Linux: the counting clock is this program's own
        boot, seconds = _PROCESS, time.monotonic()
    return Reading(datetime.now(UTC), boot, seconds)


class Device:
    """One door device."""

    def __init__(self, journal: Journal, server: Server, *, door: str, concert: str) -> None:
        self.journal = journal
        self._server = server
        self._door = door
        self._concert = concert
        self._anchors = journal.anchors()
        self._own = journal.movements(concert)
        self._snapshot = self._kept_snapshot()
        self.is_online = False
        """Did the server answer last time?"""

    @property
    def snapshot(self) -> Snapshot | None:
        """The snapshot that the door decides by; None before the first was loaded."""
        return self._snapshot

    def now(self) -> datetime:
        """The server's time, as well as it is known."""
        return offline.put_right(read_clocks(), self._anchors)

    # -- scans

    def scan(self, code: str, direction: Direction) -> Spoken:
        """What is said to this code. It is in the journal before this returns. Raises NotAllowed."""
        reading = read_clocks()
        sequence = self.journal.begin(
            code, concert=self._concert, door=self._door, direction=direction, reading=reading
        )
        if self.is_online:
            spoken = self._ask_server(sequence, code, direction)
            if spoken is not None:
                return spoken
            self.is_online = False
        return self._by_itself(sequence, code, direction, reading)

    def _ask_server(self, sequence: int, code: str, direction: Direction) -> Spoken | None:
        """What the server says; None: nothing."""
        body = {
            "code": code,
            "door": self._door,
            "concertId": self._concert,
            "direction": direction.value,
            "scanId": f"{self.journal.device}.{sequence}",
        }
        reply = self._asked_for("POST", "/tickets/admissions", body)
        if reply is None:
            return None
        said = msgspec.json.decode(reply.body)
        at = None if said["at"] is None else datetime.fromisoformat(said["at"])
        moved = said.get("movedTo")
        seat = None if moved is None else NumberedSeat(moved["id"], moved["row"], moved["number"], 0)
        scanned = Scanned(Result(said["result"]), at, said["door"], seat)
        ticket = None if said["ticketId"] is None else parsed_id(said["ticketId"])
        self._write(sequence, scanned, ticket, direction, state="told")
        return Spoken(scanned, said["number"], said["quantity"], said["section"])

    def _by_itself(self, sequence: int, code: str, direction: Direction, reading: Reading) -> Spoken:
        shot, now = self._snapshot, offline.put_right(reading, self._anchors)
        if shot is None or now >= shot.expires:
            self.journal.decided(sequence, result=offline.STALE, state="refused", at=now, ticket=None)
            return Spoken(Scanned(Result.UNKNOWN), by_itself=True, is_stale=True)
        scan = OfflineScan(code, f"{self.journal.device}.{sequence}", direction)
        scanned, claims = offline.decide(shot, self._own, scan, now=now)
        ticket = None if claims is None else (claims.order_id, claims.number)
        self._write(sequence, scanned._replace(at=scanned.at or now), ticket, direction, state="waiting")
        if claims is None:
            return Spoken(scanned, by_itself=True)
        return Spoken(scanned, claims.number, claims.quantity, claims.section, by_itself=True)

    def _write(
        self, sequence: int, scanned: Scanned, ticket: tuple[str, int] | None, direction: Direction, *, state: str
    ) -> None:
        """`state`: of one that is let through."""
        is_through = scanned.result is Result.VALID
        at = self.now() if scanned.at is None else scanned.at
        self.journal.decided(
            sequence, result=scanned.result.value, state=state if is_through else "refused", at=at, ticket=ticket
        )
        if is_through and ticket is not None:
            device = self.journal.device
            move = Movement(at, self._door, f"{device}.{sequence}", direction, device, sequence)
            self._own.setdefault(ticket, []).append(move)

    def undo(self, reason: str) -> bool:
        """The last one who was let in did not count: told with the next talk. False: there is none."""
        is_undone = self.journal.undo_last(reason) is not None
        self._own = self.journal.movements(self._concert)
        return is_undone

    # -- talks with the server

    def sync(self) -> Synced | None:
        """Load what changed, put the clock right, tell what waits; None: the server is away. Raises NotAllowed."""
        self.is_online = self._load() and self._look_at_the_clock()
        if not self.is_online:
            return None
        told, in_vain, conflicts = 0, 0, dict[str, dict[str, Any]]()
        while (waiting := self.journal.waiting(BATCH)) and in_vain < TRIES:
            fresh = [each for each in waiting if each.told_at is None]
            if fresh:
                times = [offline.put_right(each.reading, self._anchors) for each in fresh]
                last = self.journal.last_told(fresh[0].sequence)
                placed = offline.in_sequence(times, after=last)
                self.journal.times_told(dict(zip((each.sequence for each in fresh), placed, strict=True)))
                continue
            scans = [
                {
                    "sequence": each.sequence,
                    "code": each.code,
                    "door": each.door,
                    "direction": each.direction.value,
                    "at": (each.told_at or self.now()).isoformat(),
                    **({} if each.undone is None else {"undone": each.undone}),
                }
                for each in waiting
            ]
            said = self._merge(scans)
            if said is None:
                self.is_online = False
                return None
            undone = [each.sequence for each in waiting if each.undone is not None]
            self.journal.told({each["sequence"]: each["result"] for each in said["scans"]}, undone)
            told += len(said["scans"])
            in_vain += not said["scans"]
            conflicts |= {each["entered"]["scanId"] + each["kind"]: each for each in said["conflicts"]}
        return Synced(told, list(conflicts.values()), self.journal.count("not taken"))

    def _merge(self, scans: list[dict[str, Any]]) -> Any | None:
        body = {"device": self.journal.device, "clock": self.now().isoformat(), "scans": scans}
        reply = self._asked_for("POST", "/tickets/admissions/merge", body, conflict_too=True)
        if reply is None:
            return None
        if reply.status == 409:  # our clock is ahead, whatever the server said of it before
            self._look_at_the_clock(forget=True)
            return {"scans": [], "conflicts": []}
        return msgspec.json.decode(reply.body)

    def _look_at_the_clock(self, *, forget: bool = False) -> bool:
        """Ask how wrong it is; is there an answer? The middle of the way there and back counts as the server's look."""
        before = read_clocks()
        body = {"device": self.journal.device, "clock": before.clock.isoformat(), "scans": []}
        reply = self._asked_for("POST", "/tickets/admissions/merge", body)
        if reply is None:
            return False
        took = read_clocks().seconds - before.seconds
        said = msgspec.json.decode(reply.body)
        at = datetime.fromisoformat(said["serverTime"]) - timedelta(seconds=took / 2)
        self.journal.anchored(Anchor(before, at), forget=forget)
        self._anchors = self.journal.anchors()
        return True

    def _load(self) -> bool:
        """The snapshot as it is now; is there an answer?"""
        kept = self.journal.kept(f"tag {self._concert}")
        tag = None if kept is None or self._snapshot is None else kept.decode()
        reply = self._asked_for("GET", f"/tickets/snapshot?concertId={self._concert}", tag=tag)
        if reply is None:
            return False
        if reply.status == 304:
            return True
        keys = self._asked_for("GET", "/tickets/keys")
        if keys is None:
            return False
        shot = offline.read_snapshot(reply.body, _public(keys.body), concert_id=self._concert)
        self.journal.keep(
            {
                f"snapshot {self._concert}": reply.body,
                f"tag {self._concert}": (reply.tag or "").encode(),
                "keys": keys.body,
            }
        )
        self._snapshot = shot
        return True

    def _kept_snapshot(self) -> Snapshot | None:
        """The one in the journal, if it is what a known key signed. Raises Distrusted."""
        body, keys = self.journal.kept(f"snapshot {self._concert}"), self.journal.kept("keys")
        if body is None or keys is None:
            return None
        return offline.read_snapshot(body, _public(keys), concert_id=self._concert)

    def _asked_for(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        tag: str | None = None,
        conflict_too: bool = False,
    ) -> Reply | None:
        reply = self._server.ask(method, path, body, tag=tag)
        if reply is None or reply.status in (200, 304) or (conflict_too and reply.status == 409):
            return reply
        said = msgspec.json.decode(reply.body) if reply.body[:1] == b"{" else {}
        raise NotAllowed(f"the server answers {reply.status}: {said.get('detail', 'nothing more')}")


def _public(keys: bytes) -> dict[str, bytes]:
    """Public keys by id, from GET /tickets/keys."""
    return {each["kid"]: offline.from_text(each["x"]) for each in msgspec.json.decode(keys)["keys"]}
