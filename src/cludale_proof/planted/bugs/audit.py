"""The audit log."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.records import Commit, Committed, Outcome, Put
from cludale.runtime import recent
from cludale.services.audit import domain as audit_domain
from cludale.services.audit import service as audit_service
from cludale.services.audit import store as audit_store
from cludale.services.audit import walking as audit_walking
from cludale_proof.planted.planting import bug, swap


@bug("audit: an event is recorded each time that it comes")
def _(stack: ExitStack) -> None:
    right = audit_store.put_entry

    def wrong(entry: Any, event: Any) -> Put:
        put = right(entry, event)
        return replace(put, id=f"{put.id}.{entry.sequence}")

    swap(stack, audit_store, "put_entry", wrong)
    swap(stack, recent.Recent, "remember", lambda self, ids: None)


@bug("audit: effects are recorded before their causes")
def _(stack: ExitStack) -> None:
    right = audit_domain.causes_first

    def wrong(batch: Any, is_recorded: Any) -> Any:
        return right([(id, None, waits) for id, _, waits in batch], is_recorded)

    swap(stack, audit_service, "causes_first", wrong)


@bug("audit: an event that came before its cause is answered as recorded")
def _(stack: ExitStack) -> None:
    right = audit_service.Audit.handle

    async def wrong(self: Any, deliveries: Sequence[Delivery]) -> list[Acknowledgement]:
        await right(self, deliveries)
        return [Acknowledgement.SUCCESS] * len(deliveries)

    swap(stack, audit_service.Audit, "handle", wrong)


@bug("audit: a batch that met a conflict is answered as recorded")
def _(stack: ExitStack) -> None:
    class Records:
        """A store whose commits all seem to go well."""

        def __init__(self, records: Any) -> None:
            self.get, self.find, self.right = records.get, records.find, records

        async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
            await self.right.commit(commits)
            return [Committed()] * len(commits)

    right = audit_service.Audit.__init__

    def wrong(self: Any, records: Any, *args: Any, **kwargs: Any) -> None:
        right(self, Records(records), *args, **kwargs)

    swap(stack, audit_service.Audit, "__init__", wrong)


@bug("audit: a hash does not cover all that came before")
def _(stack: ExitStack) -> None:
    swap(stack, audit_service, "link", lambda previous, event, late: audit_domain.link(previous[:1], event, late=late))


@bug("audit: the mark of what is recorded late is not under its hash", theme="audit far behind")
def _(stack: ExitStack) -> None:
    swap(stack, audit_service, "link", lambda previous, event, late: audit_domain.link(previous, event))


@bug("audit: what is recorded without its cause is not marked", theme="audit far behind")
def _(stack: ExitStack) -> None:
    sort, go = audit_domain.causes_first, audit_domain.let_go
    swap(stack, audit_service, "causes_first", lambda *batch: sort(*batch)._replace(orphans=frozenset()))
    swap(stack, audit_service, "let_go", lambda *groups, now: dict.fromkeys(go(*groups, now=now), False))


@bug("audit: the wait for a cause is never over", theme="holes in the log")
def _(stack: ExitStack) -> None:
    right = audit_domain.let_go

    def wrong(groups: Any, is_recorded: Any, *, now: datetime) -> dict[str, bool]:
        going = right(groups, is_recorded, now=now)
        return {cause: is_late for cause, is_late in going.items() if not is_late}

    swap(stack, audit_service, "let_go", wrong)


@bug("audit: what waits for its cause is marked late when that comes", theme="audit far behind")
def _(stack: ExitStack) -> None:
    swap(stack, audit_service, "let_go", lambda groups, *_, **__: {group.cause: True for group in groups})


@bug("audit: what waits for a cause takes the place of what waited for it before", theme="audit far behind")
def _(stack: ExitStack) -> None:
    right = audit_store.put_waiting

    def wrong(cause: str, waiting: Any, expected: int) -> Put:
        return right(cause, replace(waiting, ids=waiting.ids[-1:], events=waiting.events[-1:]), expected)

    swap(stack, audit_store, "put_waiting", wrong)


@bug("audit: a full segment is not sealed")
def _(stack: ExitStack) -> None:
    swap(stack, audit_service, "sealed", lambda head, **_: head)


@bug("audit: a segment is sealed with another hash than its last entry's")
def _(stack: ExitStack) -> None:
    right = audit_domain.sealed

    def wrong(head: Any, **kwargs: Any) -> Any:
        seal = right(head, **kwargs)
        return seal if seal.sealed_at is None else replace(seal, hash=audit_domain.GENESIS)

    swap(stack, audit_service, "sealed", wrong)


@bug("audit: a segment begins with the number that the one before ended with")
def _(stack: ExitStack) -> None:
    right = audit_domain.following

    def wrong(head: Any) -> Any:
        after = right(head)
        return replace(after, sequence=after.sequence - 1)

    swap(stack, audit_service, "following", wrong)


@bug("audit: the segment after a sealed one is written to the same partition")
def _(stack: ExitStack) -> None:
    swap(stack, audit_store, "partition_of", lambda segment: "log")


@bug("audit: a seal with another hash is accepted")
def _(stack: ExitStack) -> None:
    swap(stack, audit_walking, "broken_seal", lambda links, seals: None)


@bug("audit: what comes again is not looked for in sealed segments", theme="bad delivery")
def _(stack: ExitStack) -> None:
    swap(stack, audit_service, "SKEW", timedelta(days=-1))
