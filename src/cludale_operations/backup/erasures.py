"""After a restore, the buyers who were erased since the backup was made are erased again.

Who they are says a list of their orders, or the store from before, if it can still be read. Until somebody has said so,
orders does not start over what was restored (`services/orders/privacy/upkeep.py`).
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from cludale.adapters.ciphers import AeadSeals
from cludale.adapters.system.clock import SystemClock, SystemIds
from cludale.kernel.events import Cause
from cludale.ports.records import Query, Records, SchemaRefused, StoreUnavailable
from cludale.ports.seals import Seals
from cludale.runtime.aggregates import Updates
from cludale.services.audit.segments import entries_by_id
from cludale.services.audit.store import ENTRY, LAST, entry_of
from cludale.services.orders.privacy import upkeep
from cludale.services.orders.privacy.service import Privacy
from cludale.services.orders.store import ORDERS, PERSONAL
from cludale.wiring.keys import privacy_keys
from cludale.wiring.offline import store_to_read, store_to_write
from cludale.wiring.settings import Settings
from cludale.wiring.stores import STORE
from cludale_operations.backup.archive import Tell
from cludale_operations.backup.folder import CannotCopy

PAGE = 1_000
AT_ONCE = 200

Place = Path | str
"""A data folder, or the address of a PostgreSQL database."""


class NotTheStoreBefore(CannotCopy):
    """What is named as the store from before has another log than the backup, or none that goes as far."""


class Again(NamedTuple):
    """How many erasures were done again."""

    asked: int
    """Orders that are named."""
    erased: int
    """Of these, the ones that the backup had back."""


def listed(files: Iterable[Path]) -> list[str]:
    """The ids of orders in such lists, which `cludale privacy erasures` writes. Raises CannotCopy."""
    found: dict[str, None] = {}
    for file in files:
        try:
            words = file.read_text(encoding="ascii").split()
        except (OSError, UnicodeDecodeError) as error:
            raise CannotCopy(f"{file}: {error}") from error
        other = next((word for word in words if not word.startswith("order-")), None)
        if other is not None:
            raise CannotCopy(f"{file}: {other[:40]!r} is no order's id; `cludale privacy erasures` writes such a list")
        found.update(dict.fromkeys(words))
    return list(found)


async def owe(place: Place) -> bool:
    """Note in a restored store that its erasures have to be done again. False: it names nobody, so there are none."""
    store = await _to_write(place)
    try:
        if await upkeep.names_nobody(store):
            return False
        await upkeep.note(_updates(store), upkeep.RESTORED)
        return True
    finally:
        await store.close()


async def settle(place: Place, order_ids: Sequence[str], settings: Settings, tell: Tell) -> Again:
    """Erase the buyers of these orders, as far as the store has them, and note that nothing is owed any more.

    `settings`: where the master key is, which is needed for addresses that an earlier version kept in clear.
    Raises CannotCopy.
    """
    store = await _to_write(place)
    erased = 0
    try:
        updates = _updates(store)
        for at in range(0, len(order_ids), AT_ONCE):
            some = order_ids[at : at + AT_ONCE]
            orders = [each.state for each in (await ORDERS.load(store, some)).values()]
            kept = await PERSONAL.load(store, some)
            seals = _seals(place, settings) if any(order.has_clear_contact for order in orders) else _NONE
            await Privacy(updates, seals).erase(orders, Cause())
            erased += sum(order.has_clear_contact for order in orders)
            erased += sum(each.state.sealed is not None for each in kept.values())
            tell("erasing again", at + len(some), len(order_ids))
        await upkeep.note(updates, upkeep.ERASED_AGAIN)
    finally:
        await store.close()
    return Again(len(order_ids), erased)


async def erased_in(former: Place, restored: Place, tell: Tell) -> list[str]:
    """The orders whose buyers are erased in the store from before, of which `restored` is an earlier state.

    Raises NotTheStoreBefore, CannotCopy.
    """
    before, back = await _to_read(former), await _to_read(restored)
    try:
        if not await _is_earlier(back, before):
            raise NotTheStoreBefore(f"{_name(former)} is not what this backup was made of: the log there is another")
        found, after, seen = [], None, 0
        while True:
            page, cursor = await PERSONAL.find(before, Query(after=after, limit=PAGE))
            found += [each.state.order_id for each in page if each.state.erased_at is not None]
            seen, after = seen + len(page), cursor.next
            tell("looking who was erased", seen, 0)
            if after is None:
                return found
    except (StoreUnavailable, msgspec.MsgspecError) as error:
        raise CannotCopy(f"{_name(former)}: {error}") from error
    finally:
        await before.close()
        await back.close()


async def _is_earlier(back: Records, before: Records) -> bool:
    """Is the last event of the one in the log of the other, at the same place in the chain?"""
    last = (await back.find(ENTRY, LAST)).items
    if not last:
        return True
    there = await entries_by_id(before, [last[0].id])
    return last[0].id in there and entry_of(there[last[0].id]).hash == entry_of(last[0]).hash


def _updates(store: Records) -> Updates:
    return Updates("orders", store, clock=SystemClock(), ids=SystemIds())


_NONE = cast("Seals", None)
"""Erasing what is sealed needs no key."""


def _seals(place: Place, settings: Settings) -> Seals:
    if isinstance(place, Path):
        settings = msgspec.structs.replace(settings, data_dir=place)
    elif settings.privacy_key is None:
        raise CannotCopy("an earlier version kept addresses in clear here: set CLUDALE_PRIVACY_KEY to encrypt them")
    return AeadSeals(*privacy_keys(settings))


def _name(place: Place) -> str:
    """Without a password."""
    return str(place) if isinstance(place, Path) else "the database named with --former"


async def _to_read(place: Place) -> Any:
    return await _opened(place, store_to_read)


async def _to_write(place: Place) -> Any:
    return await _opened(place, store_to_write)


async def _opened(place: Place, opened: Any) -> Any:
    where = place / STORE if isinstance(place, Path) else place
    if isinstance(where, Path) and not where.is_file():
        raise CannotCopy(f"there is no store in {place}")
    try:
        return await opened(where)
    except (SchemaRefused, StoreUnavailable) as error:
        raise CannotCopy(f"{_name(place)}: {error}") from error


def is_there(folders: Collection[Path]) -> Path | None:
    """The first of these data folders that has a store."""
    return next((each for each in folders if (each / STORE).is_file()), None)
