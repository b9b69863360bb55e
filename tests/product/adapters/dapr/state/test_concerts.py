"""What concerts reads by id alone, in a state store behind the real sidecar; all the rest stays where it was."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.product.adapters.dapr.state.parts import (
    STORES,
    StateComponent,
    StateSidecar,
    component_over,
    running_state_sidecar,
)
from tests.product.wiring.organizers import Office, bearer, office
from tests.product.wiring.platforms import BEHIND_A_SIDECAR

from cludale.adapters.dapr.sidecar import Sidecar
from cludale.adapters.dapr.state import StateStore
from cludale.kernel.ids import from_key
from cludale.kernel.wire import Codec
from cludale.ports.records import Key, Query
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.catalogue import CATALOGUE
from cludale.services.concerts.store import BY_ID, KEY_USES
from cludale.wiring.settings import StateType

pytestmark = pytest.mark.slow

ANSWERS = IdempotencyKeys.kind_for("concerts")


@pytest.fixture(params=STORES)
def component(request: pytest.FixtureRequest) -> StateComponent | None:
    return component_over(request.param, request)


@pytest.fixture
async def daprd(component: StateComponent | None, tmp_path: Path) -> AsyncIterator[StateSidecar]:
    async with running_state_sidecar(tmp_path, component, app_id="concerts") as sidecar:
        yield sidecar


@pytest.fixture
async def kept(daprd: StateSidecar) -> AsyncIterator[StateStore]:
    """The state store, to look into it."""
    store = StateStore(Sidecar(daprd.http_port, None), "state", BY_ID, Codec(CATALOGUE), by_id=BY_ID, type=daprd.type)
    yield store
    await store.close()


async def reserved(here: Office, key: str) -> httpx.Response:
    headers = bearer("organizer") | {"idempotency-key": key}
    return await here.client.post("/concerts/c1/reserve", json={"quantity": 2}, headers=headers)


async def test_answers_and_uses_of_keys_are_there_and_are_given_again_after_a_restart(
    tmp_path: Path, daprd: StateSidecar, kept: StateStore
) -> None:
    changes = BEHIND_A_SIDECAR | {
        "dapr_http_port": daprd.http_port,
        "concerts_state": "state",
        "state_type": StateType(daprd.type.value),
    }
    answer, reader = Key(id := from_key("answer", "reserve c1", "once"), id), ""
    async with office(tmp_path / "data", ["concerts"], **changes) as here:
        await here.concert("c1")
        first = await reserved(here, "once")
        assert first.status_code == 201
        assert (await reserved(here, "once")).content == first.content
        assert list(await kept.get(ANSWERS, [answer])) == [id]
        assert await here.platform.store.get(ANSWERS, [answer]) == {}
        reader = await here.new_key("read")
        assert (await here.ask("GET", "/concerts/c1", reader)).status_code == 200
        assert (await here.ask("GET", "/concerts/-/keys", reader)).status_code == 403
    async with office(tmp_path / "data", ["concerts"], **changes) as here:
        assert (await reserved(here, "once")).content == first.content
        assert (await here.ask("GET", "/concerts/c1")).json()["heldSeats"] == 2
        (listed,) = (await here.ask("GET", "/concerts/-/keys")).json()["items"]
        assert listed["lastUsedAt"] is not None
        use = Key(listed["id"], listed["id"])
        assert list(await kept.get(KEY_USES.kind, [use])) == [use.id]
        assert await here.platform.store.get(KEY_USES.kind, [use]) == {}


async def test_what_is_read_by_id_alone_has_no_index_that_its_writers_could_meet_in(kept: StateStore) -> None:
    with pytest.raises(ValueError, match="concerts answer is found by id alone"):
        await kept.find(ANSWERS, Query())
