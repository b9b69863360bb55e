"""Doors without network: ten devices with wrong clocks let people in by themselves, and tell it late and mixed up.

What each let in, and when that really was, is kept here: in the end the platform has to name the same double entries.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from cludale.kernel.events import Envelope
from cludale.services.tickets import offline
from cludale.services.tickets.domain import Movement
from cludale.services.tickets.door import Result
from cludale.services.tickets.door_api import MergeScans, ToldScan
from cludale.services.tickets.events import Direction, UndoReason
from cludale.services.tickets.offline import Anchor, Reading
from cludale_proof.simulator.client import RequestOutcome
from cludale_proof.simulator.clock import MORNING
from cludale_proof.simulator.faults import Chaos, Fault, Situation

DEVICES = 10
BATCH = 8
AGAIN_SECONDS = 4.0
TOLERANCE_SECONDS = 20.0
"""A device's clock is put right by an answer that may have been on its way for so long."""


class Network(NamedTuple):
    """The devices' way to the platform."""

    snapshot: Callable[[str, str], Awaitable[RequestOutcome]]
    """Who asks, and of which concert."""
    merge: Callable[[str, MergeScans], Awaitable[RequestOutcome]]
    keys: Mapping[str, bytes]
    now: Callable[[], float]


class Entry(NamedTuple):
    """Somebody whom a device let in, and when that really was."""

    scan_id: str
    order_id: str
    number: int
    concert_id: str
    at: float
    counts: bool
    generation: int
    """Which of the ticket's codes was shown."""


class Device:
    """One device. What it let in is in its journal before it says so, and stays there."""

    def __init__(self, name: str, network: Network, chaos: Chaos) -> None:
        self.name = name
        self._network = network
        self._chaos = chaos
        self._error = chaos.choices.choice((0.0, -5_400.0, -90.0, 45.0, 7_200.0))
        """By how many seconds its clock is ahead."""
        self._anchors: list[Anchor] = []
        self._snapshots: dict[str, offline.Snapshot] = {}
        self._own: dict[tuple[str, int], list[Movement]] = {}
        self._readings: dict[int, Reading] = {}
        self._waiting: dict[int, ToldScan] = {}
        self._told: set[int] = set()
        """Those whose time was told once: it stays."""
        self._sequence = 0
        self.entries: list[Entry] = []

    def _reading(self) -> Reading:
        now = self._network.now()
        return Reading(MORNING + timedelta(seconds=now + self._error), "start", now)

    async def load(self, concert_id: str) -> bool:
        """Is there a snapshot of this concert now?"""
        if concert_id in self._snapshots and self._chaos.choices.random() < 0.8:
            return True
        told = await self._network.snapshot(self.name, concert_id)
        if told.status == 200:
            shot = offline.read_snapshot(told.body, self._network.keys, concert_id=concert_id)
            self._snapshots[concert_id] = shot
            await self._look_at_the_clock()
        return concert_id in self._snapshots

    async def _look_at_the_clock(self) -> None:
        before = self._reading()
        told = await self._network.merge(self.name, MergeScans(device=self.name, clock=before.clock, scans=[]))
        if told.status == 200:
            said = told.json
            self._anchors.append(Anchor(before, before.clock + timedelta(milliseconds=said["offsetMilliseconds"])))

    def enter(self, concert_id: str, code: str) -> None:
        """Somebody shows this code, and nobody else knows."""
        shot, reading = self._snapshots[concert_id], self._reading()
        now = offline.put_right(reading, self._anchors)
        scan_id = f"{self.name}.{self._sequence + 1}"
        verdict = offline.decide(shot, self._own, offline.OfflineScan(code, scan_id), now=now)
        if verdict.scanned.result is not Result.VALID or verdict.claims is None:
            return
        self._sequence += 1
        ticket = verdict.claims.order_id, verdict.claims.number
        move = Movement(now, self.name, scan_id, Direction.IN, self.name, self._sequence)
        undone = UndoReason.MISTAKE if self._chaos.choices.random() < 0.1 else None
        if undone is None:
            self._own.setdefault(ticket, []).append(move)
        self._readings[self._sequence] = reading
        self._waiting[self._sequence] = ToldScan(
            sequence=self._sequence, code=code, door=self.name, at=now, undone=undone
        )
        self.entries.append(
            Entry(scan_id, *ticket, concert_id, self._network.now(), undone is None, verdict.claims.generation)
        )

    async def tell_all(self) -> None:
        """Tell until nothing waits."""
        while True:
            if await self.tell():
                return
            await asyncio.sleep(AGAIN_SECONDS)

    async def tell(self) -> bool:
        """Tell what waits, in batches in any order; is nothing left?"""
        if not self._waiting:
            return True
        await self._look_at_the_clock()
        if not self._anchors:
            return False
        self._put_right()
        waiting = list(self._waiting.values())
        size = self._chaos.choices.randint(1, BATCH)
        batches = [waiting[at : at + size] for at in range(0, len(waiting), size)]
        self._chaos.choices.shuffle(batches)
        for batch in batches:
            wanted = MergeScans(device=self.name, clock=self._reading().clock, scans=batch)
            told = await self._network.merge(self.name, wanted)
            if self._chaos.strikes(Fault.MERGED_AGAIN, self.name):
                await self._network.merge(self.name, wanted)
            if told.status == 409:  # the platform says that our clock is ahead
                del self._anchors[:-1]
                self._told.difference_update(scan.sequence for scan in batch)
            if told.status == 200:
                for each in told.json["scans"]:
                    if each["result"] in ("recorded", "known"):
                        self._waiting.pop(each["sequence"], None)
        return not self._waiting

    def _put_right(self) -> None:
        """The times of what waits, by all that is known of the clock by now."""
        fresh = [each for each in self._waiting if each not in self._told]
        times = [offline.put_right(self._readings[each], self._anchors) for each in fresh]
        for sequence, at in zip(fresh, offline.in_sequence(times, after=None), strict=True):
            self._waiting[sequence] = msgspec.structs.replace(self._waiting[sequence], at=at)
        self._told.update(fresh)


class OfflineDoors:
    """All devices of a run."""

    def __init__(self, network: Network, chaos: Chaos) -> None:
        self._chaos = chaos
        self.devices = [Device(f"device-{number}", network, chaos) for number in range(DEVICES)]
        self._new_codes: dict[tuple[str, int], list[str]] = {}
        """Order and ticket number → what a scan of an older code is called, for each newer code in order."""

    def happened(self, event: Envelope) -> None:
        """An event became true in this very moment: a ticket may have a new code."""
        if event.type == "TicketReseated":
            for number in event.data.numbers:
                self._new_codes.setdefault((event.data.order_id, number), []).append("moved")
        elif event.type == "TicketTransferred":
            self._new_codes.setdefault((event.data.order_id, event.data.number), []).append("replaced")

    async def shown(self, concert_id: str, codes: Sequence[str]) -> None:
        """Guests show these at two devices each, which tell it later."""
        choose = self._chaos.choices
        at = choose.sample(self.devices, 2)
        for device in at:
            if not await device.load(concert_id):
                continue
            for code in codes:
                await asyncio.sleep(choose.uniform(0.0, 3.0))
                device.enter(concert_id, code)
        await asyncio.sleep(choose.uniform(0.0, 30.0))
        for device in at:
            await device.tell_all()

    def wrong(self, told: Mapping[str, Sequence[Any]], *, exact: bool) -> list[str]:
        """What the platform's conflicts of each concert lack or have wrong. `exact`: no server's clock was wrong."""
        twice = [each for of in told.values() for each in of if each["kind"] == "double-entry"]
        named = {each["entered"]["scanId"]: each for each in twice}
        pairs = {id: each["earlier"]["scanId"] for id, each in named.items()}
        entries = [entry for device in self.devices for entry in device.entries]
        tickets: dict[tuple[str, int], list[Entry]] = {}
        for entry in entries:
            if entry.counts:
                tickets.setdefault((entry.order_id, entry.number), []).append(entry)
        wrong = []
        for (order_id, number), of in tickets.items():
            scans = {entry.scan_id for entry in of}
            doubles = [id for id in pairs if id in scans]
            if len(of) > 1:
                self._chaos.meets(Situation.DOUBLE_ENTRY)
            both = {*doubles, *(pairs[id] for id in doubles)}
            if len(of) > 1 and (len(doubles) < len(of) - 1 or not scans <= both):
                wrong.append(f"{order_id} {number} let in with {sorted(scans)}, and double entries are {doubles}")
            wrong += [
                f"scan {entry.scan_id} was at {entry.at:.1f}, and is said to have been at {at:.1f}"
                for entry in of
                if exact
                and (at := _at(named, pairs, entry.scan_id)) is not None
                and abs(at - entry.at) > TOLERANCE_SECONDS
            ]
        return wrong + self._wrong_about_codes(told, entries)

    def _wrong_about_codes(self, told: Mapping[str, Sequence[Any]], entries: Sequence[Entry]) -> list[str]:
        """Who was let in with a code of before is named: as moved, or as somebody whose ticket is another's by now."""
        named = {
            each["entered"]["scanId"]: each["kind"]
            for of in told.values()
            for each in of
            if each["kind"] in ("moved", "replaced")
        }
        wrong = []
        for entry in entries:
            since = self._new_codes.get((entry.order_id, entry.number), [])[entry.generation - 1 :]
            expected = ("replaced" if "replaced" in since else "moved") if since and entry.counts else None
            if named.get(entry.scan_id) != expected:
                wrong.append(f"scan {entry.scan_id} is said to be {named.get(entry.scan_id)}, and is {expected}")
        return wrong


def _at(named: Mapping[str, Any], pairs: Mapping[str, str], scan_id: str) -> float | None:
    """When the platform says that this scan was, if a double entry names it."""
    found = named[scan_id]["entered"] if scan_id in pairs else None
    for entered, earlier in pairs.items():
        if earlier == scan_id:
            found = named[entered]["earlier"]
    if found is None:
        return None
    return (datetime.fromisoformat(found["at"]) - MORNING).total_seconds()
