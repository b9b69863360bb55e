"""Invoices, their numbers and what they come to."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from msgspec.structs import replace

from cludale.ports.records import Commit, Committed, Key, Put, Records
from cludale.services.orders.invoices import billing, figures, issuing
from cludale_proof.planted.planting import bug, swap


@bug("invoices: after a conflict the same number is given once more", theme="invoices + frozen")
def _(stack: ExitStack) -> None:
    async def over_it(records: Records, partition: str, put: Put) -> Put:
        found = await records.get(put.kind, [Key(partition, put.id)])
        return replace(put, expected=found[put.id].version if put.id in found else 0)

    async def wrong(records: Records, draft: Any, learn: Any) -> bool:
        commits: Sequence[Commit] = await draft()
        while commits and learn(await records.commit(commits)):
            commits = [
                replace(commit, puts=[await over_it(records, commit.partition, put) for put in commit.puts])
                for commit in commits
            ]
        return True

    swap(stack, issuing, "until_committed", wrong)


@bug("invoices: a number is counted before its document is written", theme="invoices")
def _(stack: ExitStack) -> None:
    async def wrong(records: Records, draft: Any, learn: Any) -> bool:
        while commits := await draft():
            (commit,) = commits
            counted, *_ = await records.commit([replace(commit, puts=commit.puts[:1], events=())])
            if isinstance(counted, Committed):
                return not learn(await records.commit([replace(commit, puts=commit.puts[1:])]))
        return True

    swap(stack, issuing, "until_committed", wrong)


@bug("invoices: a credit note for a part takes all of the invoice off", theme="invoices")
def _(stack: ExitStack) -> None:
    swap(stack, figures, "of_part", lambda invoice, before, part, bill: invoice)


@bug("invoices: who is paid back in part before there is an invoice gets one without a credit note", theme="invoices")
def _(stack: ExitStack) -> None:
    right = billing.planned

    def wrong(known: Any, about: Any, **more: Any) -> Any:
        order = about.order if known.papers else replace(about.order, refunds=())
        return right(known, about._replace(order=order), **more)

    swap(stack, billing, "planned", wrong)
