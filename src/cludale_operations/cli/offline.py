"""`audit verify`, `export` and `replay` on a store, beside running servers. Writes nothing there."""

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from cludale.adapters.sqlite import StoreInUse
from cludale.kernel.refusals import Invalid
from cludale.kernel.wire import Codec
from cludale.ports.records import Records, SchemaRefused, StoreUnavailable
from cludale.runtime.replay import CannotFold, Difference, NotEmpty, Rebuild, Rebuilt, Replay
from cludale.services.audit.export import ChainBroken
from cludale.services.audit.replay import AuditLog, UnreadableEntry
from cludale.services.catalogue import CATALOGUE, REPLAYS
from cludale.wiring.needs import MissingSetting
from cludale.wiring.offline import Reader, audit_over, new_store, store_to_read
from cludale.wiring.settings import Settings
from cludale.wiring.stores import STORE
from cludale_operations.cli import exports
from cludale_operations.cli.exports import NotAnExport
from cludale_operations.cli.screen import NO, fail

Tell = Callable[[int, int | None], None]
"""How many of how many are done."""


class ReplayOutcome(NamedTuple):
    """What came of a replay."""

    events: int
    rebuilt: dict[str, int]
    compared: bool
    differences: Sequence[Difference]
    shown: Sequence[Rebuilt]


Place = Path | str | Settings
"""A data folder, the address of a PostgreSQL database, or settings that name a Cosmos DB account."""


def verify(place: Place, progress: Tell, *, head: str | None = None) -> dict[str, Any]:
    """Follow the chain in the store there, and look for `head`. Ends the program with one line if there is no store."""

    async def run() -> dict[str, Any]:
        live = await _open(place)
        try:
            verdict = await audit_over(cast("Records", live)).verify(progress, noted=head)
        finally:
            await live.close()
        found: dict[str, Any] = msgspec.to_builtins(verdict)
        return found

    try:
        return asyncio.run(run())
    except StoreUnavailable as error:
        fail(f"{_name(place)}: {error}")
    except Invalid as error:
        fail(f"--head: {error}")


class Exported(NamedTuple):
    """What came of an export: how many files it wrote, and how far the folder goes now."""

    files: int
    events: int
    head: str


def export(place: Place, folder: Path) -> Exported:
    """Write what the log there has more than the folder. Ends the program with one line if that can't be done."""

    async def run() -> Exported:
        live = await _open(place)
        try:
            files, reached = await exports.export_to(folder, cast("Records", live))
        finally:
            await live.close()
        return Exported(files, reached.sequence, reached.hash)

    try:
        return asyncio.run(run())
    except StoreUnavailable as error:
        fail(f"{_name(place)}: {error}")
    except ChainBroken as error:
        fail(f"the log is broken, what is whole is exported: {error}", NO)
    except (NotAnExport, OSError) as error:
        fail(f"{folder}: {error}")


def verify_export(folder: Path, *, head: str | None = None) -> dict[str, Any]:
    """Follow the chain through the files of an export, and look for `head`."""
    try:
        found: dict[str, Any] = msgspec.to_builtins(exports.verify(folder, noted=head))
    except (NotAnExport, OSError) as error:
        fail(f"{folder}: {error}")
    except Invalid as error:
        fail(f"--head: {error}")
    return found


def replay(
    place: Path | str,
    services: Sequence[str] | None,
    *,
    until: datetime | None,
    into: Path | None,
    show: Sequence[str],
    progress: Tell,
) -> ReplayOutcome:
    """Rebuild from the log there, and compare unless it is the state of another time."""
    known = [each.service for each in REPLAYS]
    for service in services or ():
        if service not in known:
            fail(f"{service!r} can't be rebuilt; these can: {', '.join(known)}")
    chosen = [each for each in REPLAYS if services is None or each.service in services]
    if into is not None and into.exists():
        fail(f"{into} is there already; name a new file")
    try:
        return asyncio.run(_replay(place, chosen, until=until, into=into, show=show, progress=progress))
    except (StoreUnavailable, StoreInUse, NotEmpty) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or into}: {error.strerror}")
    except (UnreadableEntry, CannotFold) as error:
        fail(f"the log can't be folded: {error}", NO)


async def _replay(
    place: Path | str,
    chosen: Sequence[Replay],
    *,
    until: datetime | None,
    into: Path | None,
    show: Sequence[str],
    progress: Tell,
) -> ReplayOutcome:
    codec = Codec(CATALOGUE)
    live = await _open(place)
    try:
        with tempfile.TemporaryDirectory(prefix="cludale-replay-") as scratch:
            rebuilt = new_store(into or Path(scratch) / STORE)
            try:
                records = cast("Records", live)
                rebuild = Rebuild(AuditLog(records, codec, until=until), chosen, rebuilt)
                await rebuild.run(lambda done: progress(done, None))
                differences = [] if until is not None else await rebuild.compare(records)
                shown = [each for id in show for each in await rebuild.about(id)]
                return ReplayOutcome(rebuild.events, await rebuild.counts(), until is None, differences, shown)
            finally:
                await rebuilt.close()
    finally:
        await live.close()


async def _open(place: Place) -> Reader:
    if isinstance(place, Path):
        path = place / STORE
        if not path.exists():
            fail(f"there is no store in {place}: name the data folder with --data or CLUDALE_DATA_DIR")
        place = path
    try:
        return await store_to_read(place)
    except (SchemaRefused, StoreUnavailable, MissingSetting) as error:
        fail(f"{_name(place)}: {error}")


def _name(place: Place) -> str:
    """Without a password."""
    if isinstance(place, Settings):
        return "CLUDALE_COSMOS_ENDPOINT"
    return str(place) if isinstance(place, Path) else "CLUDALE_DATABASE_URL"
