"""Group commit: all commits that wait become one transaction with one sync. What stores with an outbox share around it.

Knows nothing of the store: what is written, and how, is the `write` that it is given. Rows of the outbox that were
delivered ride along with a batch, and whoever listens is told of its events as soon as they are durable.
"""

from collections.abc import Awaitable, Callable, Sequence

from cludale.ports.records import Commit, Outcome, StoreUnavailable
from cludale.runtime.batching import BatchingQueue, a_round
from cludale.runtime.outgoing import Delivered, Listeners
from cludale.runtime.planning import Plan
from cludale.runtime.readiness import Pulse

DELIVERED_SECONDS = 0.05
"""How long rows of the outbox that were delivered wait for a commit to ride along with."""

Write = Callable[[Sequence[Commit], Sequence[int]], Awaitable[Plan]]
"""Writes what can be written of the commits, and takes the delivered rows from the outbox, in one transaction.

If it raises, nothing of the batch is true, or it is not known.
"""

_NOTHING = Commit("")


class GroupCommit(BatchingQueue[None, Commit, Outcome]):
    """The queue of commits for one `write`, one batch at a time."""

    def __init__(self, write: Write, *, batch_limit: int, waiting_limit: int, delivered_limit: int) -> None:
        """More than `delivered_limit` delivered rows are written at once."""
        super().__init__(
            self._write_batch,
            of="commits",
            batch_limit=batch_limit,
            waiting_limit=waiting_limit,
            gather=a_round,
        )
        self._write = write
        self.listeners = Listeners()
        """They are told of each group of events as soon as it is durable, in order, on the event loop."""
        self.delivered = Delivered(self.nothing, seconds=DELIVERED_SECONDS, limit=delivered_limit)
        """Rows of the outbox that one of the next batches deletes; a crash before that publishes them again."""
        self.pulse = Pulse()

    async def nothing(self) -> None:
        """A batch for what rides along."""
        await self.submit(None, (_NOTHING,))

    async def close(self) -> None:
        """Write what waits, delivered rows too."""
        await self.delivered.close()
        await super().close()

    async def _write_batch(self, _: None, commits: Sequence[Commit]) -> Sequence[Outcome]:
        delivered = self.delivered.take()
        try:
            plan = await self._write(commits, delivered)
        except BaseException as error:
            if isinstance(error, StoreUnavailable):
                self.pulse.failed()
            self.delivered.add(delivered)
            raise
        if plan.rows:
            self.pulse.worked()
        if plan.entries:
            self.listeners.tell(plan.entries)
        return plan.outcomes
