"""Idempotency keys: the same key and body get the same bytes, and nothing happens twice."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.refusals import (
    Busy,
    IdempotencyKeyInFlight,
    IdempotencyKeyReused,
    Invalid,
    NotFound,
    Refusal,
    RefusedForNow,
)
from cludale.kernel.wire import Codec
from cludale.ports.records import Commit, Committed, Records, StoreUnavailable
from cludale.runtime.aggregates import AnsweredBefore
from cludale.runtime.idempotency import IdempotencyKeys, Keep, KeptResponse
from cludale.services.catalogue import CATALOGUE
from cludale_proof.simulator.memory import MemoryStore

HOME = "order-1"
"""The partition of the effect and its answer."""

Act = Callable[[Keep], Awaitable[KeptResponse]]


class Over(Refusal):
    """A refusal for good."""


class SoldOut(RefusedForNow):
    """A refusal until somebody gives a ticket back."""


class Till:
    """Sells one ticket a time, and keeps the answer with the sale."""

    def __init__(self, store: Records) -> None:
        self.store = store
        self.sold = 0

    async def sell(self, keep: Keep) -> KeptResponse:
        answer = KeptResponse(201, f'{{"ticket":{self.sold + 1}}}')
        put = keep(answer)
        (outcome,) = await self.store.commit([Commit(HOME, (put,))])
        if not isinstance(outcome, Committed):
            raise AnsweredBefore
        self.sold += 1
        return answer


@pytest.fixture
def store(apart: MemoryStore) -> MemoryStore:
    return apart


@pytest.fixture
def keys(store: Records) -> IdempotencyKeys:
    return IdempotencyKeys("orders", store)


@pytest.fixture
def till(store: Records) -> Till:
    return Till(store)


def refused(refusal: Refusal) -> KeptResponse:
    return KeptResponse(409, refusal.detail)


async def once(keys: IdempotencyKeys, act: Act, **changed: Any) -> KeptResponse:
    asked = {"route": "POST /orders", "key": "key-1", "request": b'{"quantity":1}'} | changed
    return await keys.once(act=act, refuse=refused, partition=HOME, **asked)


async def raises(error: Exception, _: Keep) -> KeptResponse:
    raise error


async def test_the_same_key_and_body_get_the_same_answer_and_one_effect(keys: IdempotencyKeys, till: Till) -> None:
    first = await once(keys, till.sell)
    assert [await once(keys, till.sell) for _ in range(3)] == [first] * 3
    assert till.sold == 1


async def test_the_answer_is_still_known_after_a_restart(tmp_path: Path) -> None:
    kinds, codec = [IdempotencyKeys.kind_for("orders")], Codec(CATALOGUE)
    store = SqliteStore(tmp_path / "keys.db", kinds, codec)
    first = await once(IdempotencyKeys("orders", store), Till(store).sell)
    await store.close()
    store = SqliteStore(tmp_path / "keys.db", kinds, codec)
    till = Till(store)
    assert await once(IdempotencyKeys("orders", store), till.sell) == first
    assert till.sold == 0
    await store.close()


@pytest.mark.parametrize("changed", [{"key": "key-2"}, {"route": "POST /payments"}])
async def test_another_key_or_route_is_another_request(
    keys: IdempotencyKeys, till: Till, changed: dict[str, str]
) -> None:
    await once(keys, till.sell)
    assert (await once(keys, till.sell, **changed)).body == '{"ticket":2}'


async def test_another_body_under_the_same_key_is_refused(keys: IdempotencyKeys, till: Till) -> None:
    await once(keys, till.sell)
    with pytest.raises(IdempotencyKeyReused):
        await once(keys, till.sell, request=b'{"quantity":2}')
    assert till.sold == 1


async def test_while_the_first_is_in_flight_the_second_is_told_so(keys: IdempotencyKeys, till: Till) -> None:
    gate = asyncio.Event()

    async def slowly(keep: Keep) -> KeptResponse:
        await gate.wait()
        return await till.sell(keep)

    first = asyncio.create_task(once(keys, slowly))
    await asyncio.sleep(0.01)
    with pytest.raises(IdempotencyKeyInFlight):
        await once(keys, till.sell)
    assert (await once(keys, till.sell, key="key-2")).status == 201
    gate.set()
    answered = await first
    assert await once(keys, till.sell) == answered


async def test_a_refusal_is_an_answer_and_stays_one(keys: IdempotencyKeys, till: Till) -> None:
    first = await once(keys, lambda keep: raises(Over("It is over."), keep))
    assert first == KeptResponse(409, "It is over.")
    assert await once(keys, till.sell) == first
    assert till.sold == 0


@pytest.mark.parametrize(
    "trouble",
    [
        Busy("later"),
        SoldOut("Nothing is left."),
        NotFound("concert", "c"),
        Invalid(("section", "none")),
        StoreUnavailable("locked"),
        OSError("disk"),
    ],
)
async def test_trouble_is_no_answer_and_the_key_can_be_used_again(
    keys: IdempotencyKeys, till: Till, trouble: Exception
) -> None:
    with pytest.raises(type(trouble)):
        await once(keys, lambda keep: raises(trouble, keep))
    assert (await once(keys, till.sell)).status == 201


async def test_a_caller_who_gave_up_leaves_the_key_usable(keys: IdempotencyKeys, till: Till) -> None:
    async def for_ever(_: Keep) -> KeptResponse:
        await asyncio.Event().wait()
        raise AssertionError

    gone = asyncio.create_task(once(keys, for_ever))
    await asyncio.sleep(0.01)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert (await once(keys, till.sell)).status == 201


async def test_of_two_replicas_one_does_it_and_both_give_its_answer(store: Records, till: Till) -> None:
    one, other = IdempotencyKeys("orders", store), IdempotencyKeys("orders", store)

    async def after_the_other(keep: Keep) -> KeptResponse:
        await once(other, till.sell)
        return await till.sell(keep)

    assert await once(one, after_the_other) == await once(other, till.sell)
    assert till.sold == 1


@pytest.mark.parametrize("refusal", [Over("It is over."), SoldOut("Nothing is left.")])
async def test_of_two_replicas_one_refuses_and_both_give_what_was_kept_first(
    store: Records, till: Till, refusal: Refusal
) -> None:
    one, other = IdempotencyKeys("orders", store), IdempotencyKeys("orders", store)

    async def refuse_after_the_other_sold(keep: Keep) -> KeptResponse:
        await once(other, till.sell)
        raise refusal

    assert (await once(one, refuse_after_the_other_sold)).status == 201


class TestAnEffectElsewhere:
    """The answer is not in the partition of the effect, which is safe to repeat."""

    @pytest.fixture
    def keys(self, store: Records) -> IdempotencyKeys:
        return IdempotencyKeys("payments", store)

    @staticmethod
    async def apart(keys: IdempotencyKeys, act: Callable[[], Awaitable[KeptResponse]], **changed: Any) -> KeptResponse:
        asked = {"route": "POST /payments", "key": "key-1", "request": b'{"orderId":1}'} | changed
        return await keys.once_across_partitions(act=act, refuse=refused, **asked)

    @staticmethod
    async def done() -> KeptResponse:
        return KeptResponse(200, "done")

    @staticmethod
    async def never() -> KeptResponse:
        raise AssertionError("this must not be done")

    async def test_the_same_request_gets_the_same_answer_and_is_done_once(self, keys: IdempotencyKeys) -> None:
        assert await self.apart(keys, self.done) == await self.apart(keys, self.never) == KeptResponse(200, "done")

    async def test_a_service_whose_answers_are_written_once_claims_no_key(self, store: Records) -> None:
        with pytest.raises(TypeError, match="written once"):
            await self.apart(IdempotencyKeys("orders", store), self.never)

    async def test_another_body_under_the_same_key_is_refused(self, keys: IdempotencyKeys) -> None:
        await self.apart(keys, self.done)
        with pytest.raises(IdempotencyKeyReused):
            await self.apart(keys, self.never, request=b"other")

    async def test_no_other_body_acts_while_the_first_is_at_it_anywhere(self, store: Records) -> None:
        one, other = IdempotencyKeys("payments", store), IdempotencyKeys("payments", store)

        async def meanwhile() -> KeptResponse:
            with pytest.raises(IdempotencyKeyInFlight):
                await self.apart(other, self.never, request=b"other")
            return await self.done()

        assert (await self.apart(one, meanwhile)).status == 200

    async def test_what_died_in_the_middle_is_done_again_for_the_same_request(self, keys: IdempotencyKeys) -> None:
        async def dies() -> KeptResponse:
            raise StoreUnavailable("away")

        with pytest.raises(StoreUnavailable):
            await self.apart(keys, dies)
        with pytest.raises(IdempotencyKeyInFlight):
            await self.apart(keys, self.never, request=b"other")
        assert await self.apart(keys, self.done) == KeptResponse(200, "done")

    @pytest.mark.parametrize(
        "trouble", [Busy("later"), SoldOut("none"), NotFound("order", "o"), Invalid(("section", "none"))]
    )
    async def test_trouble_is_no_answer_and_the_key_is_free_again(
        self, keys: IdempotencyKeys, trouble: Exception
    ) -> None:
        async def troubled() -> KeptResponse:
            raise trouble

        with pytest.raises(type(trouble)):
            await self.apart(keys, troubled)
        assert await self.apart(keys, self.done, request=b"other") == KeptResponse(200, "done")

    async def test_a_refusal_is_an_answer_and_stays_one(self, keys: IdempotencyKeys) -> None:
        async def over() -> KeptResponse:
            raise Over("It is over.")

        assert await self.apart(keys, over) == KeptResponse(409, "It is over.")
        assert await self.apart(keys, self.never) == KeptResponse(409, "It is over.")

    async def test_what_is_refused_for_now_gets_the_answer_that_another_replica_kept(self, store: Records) -> None:
        one, other = IdempotencyKeys("payments", store), IdempotencyKeys("payments", store)

        async def refused_after_the_other() -> KeptResponse:
            await self.apart(other, self.done)
            raise SoldOut("Nothing is left.")

        assert await self.apart(one, refused_after_the_other) == KeptResponse(200, "done")

    async def test_of_two_replicas_both_give_the_answer_that_was_kept_first(self, store: Records) -> None:
        one, other = IdempotencyKeys("payments", store), IdempotencyKeys("payments", store)

        async def after_the_other() -> KeptResponse:
            await self.apart(other, self.done)
            return KeptResponse(200, "done again")

        assert await self.apart(one, after_the_other) == KeptResponse(200, "done")
        assert await self.apart(one, self.never) == KeptResponse(200, "done")
