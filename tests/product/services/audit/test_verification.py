"""Whoever has been at the log is found out: the file is changed behind the store's back, then verified."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests import stored_log
from tests.fakes import ManualClock
from tests.product.services.audit.samples import CODEC, delivered, placed
from tests.stored_log import BODY, ID, replacing

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.refusals import Invalid
from cludale.ports.records import UnusableCursor
from cludale.services.audit import service, walking
from cludale.services.audit.domain import Broken, Noted
from cludale.services.audit.service import Audit, Verdict
from cludale.services.audit.store import KINDS

ENTRIES = 12


def entry(number: int) -> str:
    return f"e{number:02}"


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a dozen entries are several pages."""
    monkeypatch.setattr(walking, "VERIFY_PAGE", 5)


async def recorded(path: Path) -> None:
    store = SqliteStore(path, KINDS, CODEC)
    audit = Audit(store, ManualClock())
    await audit.handle(delivered(*(placed(entry(number), f"order-{number}") for number in range(1, ENTRIES + 1))))
    await store.close()


async def verified(path: Path) -> Verdict:
    store = SqliteStore(path, KINDS, CODEC)
    try:
        return await Audit(store, ManualClock()).verify()
    finally:
        await store.close()


async def verdict_after(
    path: Path, change: Callable[[list[stored_log.Entry]], object] | None, statement: str | None = None
) -> Verdict:
    """What is said of a log of which these entries were changed, and something else."""
    await recorded(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        if change is not None:
            stored_log.spoil(connection, change)
        if statement is not None:
            assert connection.execute(statement).rowcount > 0, statement
    return await verified(path)


def without(*ids: str) -> Callable[[list[stored_log.Entry]], None]:
    def change(found: list[stored_log.Entry]) -> None:
        found[:] = [each for each in found if each[ID] not in ids]

    return change


def with_body_of(source: str, target: str) -> Callable[[list[stored_log.Entry]], None]:
    def change(found: list[stored_log.Entry]) -> None:
        (body,) = [each[BODY] for each in found if each[ID] == source]
        for each in found:
            if each[ID] == target:
                each[BODY] = body

    return change


async def test_an_untouched_log_verifies_and_says_how_far_it_is(audit: Audit) -> None:
    assert await audit.verify() == Verdict(ok=True, events=0, head="0" * 64)
    await audit.handle(delivered(*(placed(entry(number)) for number in range(1, ENTRIES + 1))))
    seen: list[tuple[int, int]] = []
    verdict = await audit.verify(lambda done, of: seen.append((done, of)))
    assert (verdict.ok, verdict.events, verdict.broken) == (True, ENTRIES, None)
    assert seen == [(5, 12), (10, 12), (12, 12)]


async def test_a_check_goes_on_part_by_part_whoever_answers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PART_PAGES", 1)
    await recorded(path)
    seen, place = [], None
    for _ in range(5):
        store = SqliteStore(path, KINDS, CODEC)  # another process each time
        audit = Audit(store, ManualClock())
        part, end = await audit.check(place), await audit.chain()
        with pytest.raises(UnusableCursor):
            await audit.check("bm9uc2Vuc2U=")
        await store.close()
        seen.append((part.done, part.of, part.ok))
        if (place := part.next) is None:
            break
    assert seen == [(5, 12, True), (10, 12, True), (12, 12, True)]
    assert (end.events, end.waiting, end.segment, end.head) == (ENTRIES, 0, 0, part.head)


async def test_a_check_in_parts_finds_what_was_changed_before_it_came_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PART_PAGES", 1)
    await recorded(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        stored_log.spoil(connection, replacing('"quantity":2', '"quantity":1', id="e07"))
    store = SqliteStore(path, KINDS, CODEC)
    audit = Audit(store, ManualClock())
    first = await audit.check(None)
    second = await audit.check(first.next)
    await store.close()
    assert (first.ok, first.done) == (True, 5)
    assert (second.ok, second.next) == (False, None)
    assert second.broken is not None
    assert second.broken.sequence == 7


async def test_a_changed_event_is_found(path: Path) -> None:
    verdict = await verdict_after(path, replacing('"quantity":2', '"quantity":1', id="e07"))
    assert not verdict.ok
    assert verdict.events == 6
    assert verdict.broken is not None
    assert verdict.broken.sequence == 7
    assert "hash" in verdict.broken.what


@pytest.mark.parametrize("gone", [1, 5, 6, 11])
async def test_a_missing_entry_is_found(path: Path, gone: int) -> None:
    verdict = await verdict_after(path, without(entry(gone)))
    assert not verdict.ok
    assert verdict.broken is not None
    assert (verdict.broken.sequence, verdict.broken.what) == (gone, f"missing: the next entry is {gone + 1}")


@pytest.mark.parametrize("kept", [0, 4, 5, 10, 11])
async def test_a_log_cut_short_is_found(path: Path, kept: int) -> None:
    verdict = await verdict_after(path, without(*(entry(number) for number in range(kept + 1, ENTRIES + 1))))
    assert not verdict.ok
    assert verdict.broken is not None
    assert verdict.broken.sequence == kept + 1
    assert verdict.broken.what == "missing: the head says that there are 12 entries"


async def test_a_log_cut_short_with_a_forged_head_is_found(path: Path) -> None:
    verdict = await verdict_after(
        path,
        without("e09", "e10", "e11", "e12"),
        "UPDATE audit_head SET body = replace(body, '\"sequence\":12', '\"sequence\":8')",
    )
    assert verdict.broken is not None
    assert (verdict.broken.sequence, "head has another hash" in verdict.broken.what) == (8, True)


async def test_swapped_entries_are_found(path: Path) -> None:
    def swapped(found: list[stored_log.Entry]) -> None:
        found[2], found[3] = found[3], found[2]

    verdict = await verdict_after(path, swapped)
    assert verdict.broken is not None
    assert (verdict.broken.sequence, verdict.broken.what) == (3, "missing: the next entry is 4")


async def test_events_swapped_between_entries_are_found(path: Path) -> None:
    verdict = await verdict_after(path, with_body_of("e05", "e06"))
    assert verdict.broken is not None
    assert (verdict.broken.sequence, verdict.broken.what) == (
        6,
        "sequence number repeated: here stands a second entry 5",
    )


async def test_an_entry_under_another_id_is_found(path: Path) -> None:
    def renamed(found: list[stored_log.Entry]) -> None:
        found[5][ID] = "e99"

    verdict = await verdict_after(path, renamed)
    assert verdict.broken is not None
    assert (verdict.broken.sequence, verdict.broken.what) == (6, "the entry e99 holds another event, e06")


async def test_an_unreadable_entry_is_found(path: Path) -> None:
    def cut_off(found: list[stored_log.Entry]) -> None:
        found[5][BODY] = b'{"seq'

    verdict = await verdict_after(path, cut_off)
    assert verdict.broken is not None
    assert verdict.broken.sequence == 6
    assert verdict.broken.what.startswith("unreadable")


async def test_an_entry_past_the_head_is_found(path: Path) -> None:
    verdict = await verdict_after(path, None, "DELETE FROM audit_head")
    assert verdict.broken is not None
    assert verdict.broken.what == "past the head stands entry 12"


async def test_verifying_goes_on_while_events_are_recorded(audit: Audit) -> None:
    await audit.handle(delivered(*(placed(entry(number)) for number in range(1, ENTRIES + 1))))
    async with asyncio.TaskGroup() as group:
        verifying = group.create_task(audit.verify())
        for number in range(20):
            group.create_task(audit.handle(delivered(placed(f"late-{number}"))))
    assert verifying.result().ok
    assert (await audit.verify()).events == ENTRIES + 20


async def test_a_head_that_was_noted_is_found_in_the_chain(audit: Audit) -> None:
    heads = ["0" * 64]
    for number in range(1, ENTRIES + 1):
        await audit.handle(delivered(placed(entry(number))))
        heads.append((await audit.verify()).head)
    for sequence, head in enumerate(heads):
        verdict = await audit.verify(noted=head.upper())
        assert (verdict.ok, verdict.noted) == (True, Noted(head, sequence))


async def test_a_chain_that_was_written_anew_has_not_the_head_that_was_noted(audit: Audit) -> None:
    await audit.handle(delivered(placed("other")))
    verdict = await audit.verify(noted="ab" * 32)
    assert (verdict.ok, verdict.broken, verdict.noted) == (False, None, Noted("ab" * 32, None))


@pytest.mark.parametrize("head", ["", "ab", "g" * 64, "a" * 65, " " + "a" * 63, "\u0661" * 64])
async def test_what_is_no_hash_is_refused(audit: Audit, head: str) -> None:
    with pytest.raises(Invalid):
        await audit.verify(noted=head)


async def test_an_entry_that_was_put_in_twice_has_a_repeated_number(path: Path) -> None:
    verdict = await verdict_after(path, with_body_of("e05", "e06"))
    assert verdict.broken == Broken(6, "sequence number repeated: here stands a second entry 5")
