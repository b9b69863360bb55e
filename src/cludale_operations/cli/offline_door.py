"""`cludale door --offline`: a door at a terminal that goes on without network."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, Self

from cludale.kernel.times import rfc3339
from cludale.services.tickets.door import Result
from cludale.services.tickets.events import Direction, UndoReason
from cludale.services.tickets.offline import STALE, Distrusted
from cludale_operations.cli.client import Client
from cludale_operations.cli.screen import NO, fail, note, say
from cludale_operations.offline_door.device import Device, NotAllowed, Spoken, Synced
from cludale_operations.offline_door.journal import Journal, JournalInUse

SYNC_SECONDS = 5.0
UNDO = "undo"
"""No code: Base45 has capital letters alone."""

SAYS = {
    "valid": "IN",
    "used": "STOP  was let in before",
    "not-inside": "STOP  nobody is inside with it",
    "revoked": "STOP  the ticket is void",
    "replaced": "STOP  it was given to somebody else, or moved: there is a newer code",
    "wrong-concert": "STOP  it is for another concert",
    "not-yet": "STOP  the doors are not open yet",
    "over": "STOP  the concert is over",
    "forged": "STOP  this is no ticket of ours",
    "unknown": "STOP  there is no such ticket",
}


MOVED = "STOP  there is a newer code: they were moved to"


def run(name: str, *, concert: str, out: bool, path: Path, url: str | None, lines: Iterable[str]) -> None:
    """Let people through until the lines end. Whatever could not be told waits in the journal at `path`."""
    counted: Counter[str] = Counter()
    direction = Direction.OUT if out else Direction.IN
    try:
        journal = Journal(path, name)
    except (JournalInUse, OSError, sqlite3.Error) as error:
        fail(f"the journal can't be used: {error}")
    with Client(url) as client:
        try:
            device = Device(journal, client, door=name, concert=concert)
            _begin(device)
            with _Talks(device) as talks:
                for line in lines:
                    if talks.refused is not None:
                        _refused(device, talks.refused)
                    if line == UNDO:
                        undone = device.undo(UndoReason.MISTAKE.value)
                        say("UNDONE  the last one who was let in" if undone else "nobody was let in here yet")
                        continue
                    spoken = device.scan(line, direction)
                    counted[STALE if spoken.is_stale else spoken.scanned.result.value] += 1
                    say(_verdict_line(spoken, out=out, waiting=journal.count("waiting")))
            _end(device)
        except NotAllowed as error:
            _refused(device, error)
        except Distrusted as error:
            fail(f"what this door would go by can't be trusted: {error}")
        finally:
            journal.close()
    say(", ".join(f"{number} {result}" for result, number in sorted(counted.items())) or "nobody came")


class _Talks:
    """Talks with the server every few seconds, beside the scans."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="talks", daemon=True)
        self.refused: NotAllowed | Distrusted | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._over.wait(SYNC_SECONDS):
            try:
                _tell(self._device.sync())
            except (NotAllowed, Distrusted) as error:
                self.refused = error
                return


def _begin(device: Device) -> None:
    synced = device.sync()
    _tell(synced)
    waiting = device.journal.count("waiting")
    if synced is not None:
        return
    if device.snapshot is None:
        fail("there is no network, and this door has never loaded what it needs to go on without it")
    left = f"; {waiting} wait to be told" if waiting else ""
    note(f"no network: this door decides by itself until {rfc3339(device.snapshot.expires)}{left}")


def _end(device: Device) -> None:
    _tell(device.sync())
    waiting = device.journal.count("waiting")
    if waiting:
        note(f"{waiting} wait to be told, in {device.journal.path}: run this again when there is network")


def _refused(device: Device, error: Exception) -> NoReturn:
    waiting = device.journal.count("waiting")
    left = f". {waiting} wait to be told, in {device.journal.path}" if waiting else ""
    fail(f"{error}{left}", NO)


def _tell(synced: Synced | None) -> None:
    if synced is None:
        return
    if synced.told:
        note(f"told the server of {synced.told}")
    for each in synced.conflicts:
        note(conflict(each))
    if synced.not_taken:
        note(
            f"{synced.not_taken} scans were not taken: their codes are none of this server's; they stay in the journal"
        )


def conflict(told: Mapping[str, Any]) -> str:
    """One line about somebody who should not have been let in, or sits where somebody else should."""
    entered, earlier = told["entered"], told["earlier"]
    text = f"{told['kind']}: {told['ticketId']} at {entered['door']} at {entered['at']}"
    if moved := told.get("movedTo"):
        text += f", with the code of before their seat was moved: theirs is row {moved['row']}, seat {moved['number']}"
    return text if earlier is None else f"{text}, and before at {earlier['door']} at {earlier['at']}"


def _verdict_line(spoken: Spoken, *, out: bool, waiting: int) -> str:
    result = spoken.scanned.result
    if spoken.is_stale:
        text = "STOP  this door has been without network for too long"
    elif result is Result.VALID:
        text = f"{'OUT' if out else 'IN'}  {spoken.number} of {spoken.quantity}  {spoken.section}"
    else:
        at, door = spoken.scanned.at, spoken.scanned.door
        if spoken.scanned.moved_to is not None:
            return f"{MOVED} {spoken.scanned.moved_to}"
        when = "" if at is None else f" ({rfc3339(at)}{'' if door is None else ', ' + door})"
        text = SAYS[result.value] + when
    return f"{text}  [no network, {waiting} wait]" if spoken.by_itself else text
