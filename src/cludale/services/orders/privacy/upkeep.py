"""What is kept of buyers, brought up to date beside everything else.

That is addresses that earlier versions kept in clear, keys under a former master key, and the erasures that a restored
backup does not know.

What has come to its end is noted in records of its own (`Upkeep`).
"""

import logging
from datetime import datetime, timedelta

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.times import rfc3339
from cludale.ports.records import Query, Records, Rewritable, StoreUnavailable
from cludale.runtime.aggregates import Change, Updates
from cludale.services.orders.privacy.domain import Upkeep
from cludale.services.orders.privacy.service import Privacy
from cludale.services.orders.store import ORDERS, PERSONAL, UPKEEP

PAGE = 200
PAGES_A_SWEEP = 5
"""A million records take a quarter of an hour, at a sweep a second."""
AGAIN = timedelta(minutes=10)
"""After which keys under a former master key are looked for again: another replica may still have used it."""
REWRITE_AT_ONCE_BYTES = 64 << 20
"""A store of this size is written anew in some seconds, beside buyers; a larger one before the next start."""

CLEAR = "clear-contacts"
"""A walk through all orders found no address in clear."""
SEALED = "sealed-contacts"
"""A walk through all orders took those away that it found."""
REWRITTEN = "rewritten"
"""No old bytes are left of what was in clear once."""
RESTORED = "restored"
"""The store came out of a backup: buyers who were erased after it are back."""
ERASED_AGAIN = "erased-again"
"""They are erased again."""

_log = logging.getLogger(__name__)


class ErasuresOwed(Exception):
    """The store came out of a backup, and nobody has said yet who was erased since. The message says what to do."""

    def __init__(self, since: datetime) -> None:
        super().__init__(
            f"this store came out of a backup at {rfc3339(since)}, so buyers who were erased since that backup are in "
            "it again. Say who they are, then start again: `cludale backup settle`, with --erased FILE, which "
            "`cludale privacy erasures` wrote, or with --former and the store from before"
        )


async def note(updates: Updates, id: str) -> None:
    """Note that this is done as of now."""

    def decide(_: Upkeep | None, now: datetime) -> Decision[Upkeep]:
        return Decision(Upkeep(id=id, done_at=now))

    await updates.update([Change(UPKEEP, id, decide, Cause())])


async def erasures_owed(records: Records) -> datetime | None:
    """When the store came out of a backup whose erasures are still to be done again; None: nothing is owed."""
    noted = await UPKEEP.load(records, (RESTORED, ERASED_AGAIN))
    restored, done = noted.get(RESTORED), noted.get(ERASED_AGAIN)
    if restored is None or (done is not None and done.state.done_at >= restored.state.done_at):
        return None
    return restored.state.done_at


async def names_nobody(records: Records) -> bool:
    """Is nothing kept here that an erasure could be about?"""
    for kind in (PERSONAL, ORDERS):
        found, _ = await kind.find(records, Query(limit=1))
        if found:
            return False
    return True


class Walks:
    """Walks through all that is kept, a few pages a sweep, beside everything else."""

    def __init__(
        self, updates: Updates, privacy: Privacy, *, has_two_masters: bool, file: Rewritable | None = None
    ) -> None:
        """`file`: the store, if it is one that keeps old bytes until it is written anew."""
        self._updates = updates
        self._privacy = privacy
        self._file = file
        self._is_clear: bool | None = None
        """Is nothing in clear any more, or was all of it taken away in this process? None: not known yet."""
        self._clear_after: str | None = None
        self._sealed = 0
        self._seen = 0
        self._rewraps = has_two_masters
        self._rewrap_after: str | None = None
        self._rewrapped = 0
        self._rewrap_at: datetime | None = None

    async def prepare(self) -> None:
        """Before anything is answered: write a store anew in which addresses were in clear, once. Raises
        StoreUnavailable, where there is no room for it."""
        if self._file is None:
            return
        noted = await UPKEEP.load(self._updates.records, (CLEAR, SEALED, REWRITTEN))
        if noted and REWRITTEN not in noted:
            await self._rewrite(self._file)

    async def go_on(self) -> int:
        """A few pages more; returns how many records were changed."""
        changed = 0
        for _ in range(PAGES_A_SWEEP):
            if self._is_clear is None:
                found = await UPKEEP.load(self._updates.records, (CLEAR,))
                self._is_clear = CLEAR in found
            if not self._is_clear:
                changed += await self._seal_page()
            elif self._rewraps and (self._rewrap_at is None or self._rewrap_at <= self._updates.clock.now()):
                changed += await self._rewrap_page()
            else:
                break
        return changed

    async def _seal_page(self) -> int:
        found, page = await ORDERS.find(self._updates.records, Query(after=self._clear_after, limit=PAGE))
        sealed = await self._privacy.seal_clear([each.state for each in found if each.state.has_clear_contact])
        self._sealed += sealed
        self._seen += len(found)
        self._clear_after = page.next
        if page.next is None:
            self._is_clear = True
            await self._sealed_all()
        return sealed

    async def _sealed_all(self) -> None:
        """The walk has come to its end."""
        if not self._sealed:
            if not self._seen:
                await note(self._updates, REWRITTEN)  # it is new: nothing was ever written over
            await note(self._updates, CLEAR)
            return
        # a process of the version before may write some more: looked for at the next start
        _log.info("addresses of %d orders were in clear, and are encrypted now", self._sealed)
        await note(self._updates, SEALED)
        if self._file is None:
            return
        if self._file.size > REWRITE_AT_ONCE_BYTES:
            _log.warning(
                "what was in clear is in free pages of the store until that is written anew, which the next start "
                "does before it answers: %d MB",
                self._file.size // 1_000_000,
            )
            return
        try:
            await self._rewrite(self._file)
        except StoreUnavailable as error:
            _log.warning("the store could not be written anew, which the next start does: %s", error)

    async def _rewrite(self, file: Rewritable) -> None:
        megabytes = file.size // 1_000_000
        _log.info("the store (%d MB) is written anew, so that nothing of what was in clear is left", megabytes)
        began = self._updates.clock.now()
        await file.rewrite(lambda written: _log.info("%d of %d MB are written", written // 1_000_000, megabytes))
        await note(self._updates, REWRITTEN)
        _log.info("it is written anew, in %.1f s", (self._updates.clock.now() - began).total_seconds())

    async def _rewrap_page(self) -> int:
        query = Query(after=self._rewrap_after, limit=PAGE)
        found, page = await PERSONAL.find(self._updates.records, query)
        rewrapped = await self._privacy.rewrap(found)
        self._rewrapped += rewrapped
        self._rewrap_after = page.next
        if page.next is None:
            _log.info("all addresses are under the master key that is used now; %d were not", self._rewrapped)
            self._rewraps = self._rewrap_at is None or self._rewrapped > 0
            self._rewrapped, self._rewrap_at = 0, self._updates.clock.now() + AGAIN
        return rewrapped
