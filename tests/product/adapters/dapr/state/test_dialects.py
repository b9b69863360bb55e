"""What Cosmos DB wants of whoever asks it through a sidecar."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.product.contracts.samples import CODEC, KINDS, NOTE, of, order

from cludale.adapters.dapr.sidecar import Sidecar
from cludale.adapters.dapr.state import DIALECTS, StateStore, StateType
from cludale.adapters.dapr.state.documents import End, record_key, tree_key
from cludale.adapters.dapr.state.index import FANOUT, Entry, zone_of_entries
from cludale.kernel.wire import Codec
from cludale.ports.records import COMMITTED, Commit, CommitTooLarge, Put
from cludale.services.audit.store import ENTRY, HEAD
from cludale.services.audit.store import KINDS as AUDIT
from cludale.services.catalogue import CATALOGUE
from cludale.web.http1 import ClientResponse
from cludale.wiring.stores import sorted_by

COSMOS = DIALECTS[StateType.COSMOS]


class StateInMemory(Sidecar):
    """A state store that answers as Dapr's component for Cosmos DB does, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__(9, None)
        self.held: dict[str, tuple[str, Any]] = {}
        self.paths: list[str] = []
        self.transactions: list[dict[str, Any]] = []

    async def ask(self, method: str, path: str, body: bytes = b"", **how: Any) -> ClientResponse:
        self.paths.append(path)
        asked = msgspec.json.decode(body)
        if "/bulk" in path:
            there = [{"key": key, "etag": self.held[key][0], "data": self.held[key][1]} for key in asked["keys"]
                     if key in self.held]  # fmt: skip
            return ClientResponse(200, msgspec.json.encode(there))
        self.transactions.append(asked)
        for each in asked["operations"]:
            request = each["request"]
            if request["key"] in self.held and self.held[request["key"]][0] != request.get("etag"):
                said = b'{"message":"transaction failed due to operation 0 which failed with status code 412"}'
                return ClientResponse(500, said)
        for each in asked["operations"]:
            self.held[each["request"]["key"]] = str(len(self.transactions)), each["request"]["value"]
        return ClientResponse(204, b"")


@pytest.fixture
def sidecar() -> StateInMemory:
    return StateInMemory()


@pytest.fixture
def store(sidecar: StateInMemory) -> StateStore:
    return StateStore(sidecar, "state", KINDS, CODEC, type=StateType.COSMOS)


@given(st.lists(st.text(), min_size=2, max_size=2, unique=True))
def test_keys_are_ids_that_it_takes_and_two_never_become_one(names: list[str]) -> None:
    made = [COSMOS.key(key) for name in names for key in (record_key(NOTE, name), tree_key(NOTE, "name", name))]
    assert len(set(made)) == len(made)
    assert not set("/\\?# ") & set("".join(made))


async def test_all_is_in_one_partition_that_reads_and_transactions_name(
    store: StateStore, sidecar: StateInMemory
) -> None:
    assert list(await store.commit([of(order("a"))])) == [COMMITTED]
    assert sidecar.paths[0].endswith("/bulk?metadata.partitionKey=records")
    assert [each["metadata"] for each in sidecar.transactions] == [{"partitionKey": "records"}]


async def test_others_are_told_of_no_partition(sidecar: StateInMemory) -> None:
    store = StateStore(sidecar, "state", KINDS, CODEC)
    await store.commit([of(order("a/b"))])
    assert sidecar.paths[0].endswith("/bulk")
    assert "metadata" not in sidecar.transactions[0]
    assert "record/orders.order/a%2Fb" in sidecar.held, "as releases before wrote it"


async def test_commits_that_make_more_writes_than_a_transaction_takes_are_parted(
    store: StateStore, sidecar: StateInMemory
) -> None:
    # five writes each: a record, an index page of all, of its concert, of its status, of its time
    commits = [of(order(f"o{n}", concertId=f"c{n}", status=f"s{n}", dueAt=f"d{n}")) for n in range(40)]
    assert list(await store.commit(commits)) == [COMMITTED] * 40
    assert max(len(each["operations"]) for each in sidecar.transactions) <= 100


async def test_one_commit_with_more_writes_than_that_is_refused(store: StateStore) -> None:
    puts = [order(f"o{n}", concertId=f"c{n}", status=f"s{n}") for n in range(40)]
    with pytest.raises(CommitTooLarge, match="writes, 100 are the most"):
        await store.commit([of(*puts)])


async def test_a_commit_of_the_log_always_fits_even_when_every_index_page_is_full(sidecar: StateInMemory) -> None:
    """Each entry is of its own type, order and concert; the next of each fills a page, and that one the page above."""
    store = StateStore(sidecar, "state", AUDIT, Codec(CATALOGUE), ranged=sorted_by(AUDIT), type=StateType.COSMOS)
    indexes = [(f"type{n}", f"o{n}", f"c{n}", "t") for n in range(COSMOS.sure_operations - 1)]
    asked_by_value = [pair for index in indexes for pair in zip(ENTRY.indexed, index, strict=True)]
    for tree in (tree_key(ENTRY), *(tree_key(ENTRY, field, value) for field, value in asked_by_value)):
        entries = [Entry(n, f"before{n}", indexes[0]) for n in range(FANOUT - 1)]
        zones = [zone_of_entries(entries, n) for n in range(FANOUT - 1)]
        full = End("before", FANOUT * FANOUT - 1, entries, [zones])
        sidecar.held[COSMOS.key(tree)] = "0", msgspec.json.decode(msgspec.json.encode(full))
    puts = [Put(ENTRY, f"e{n}", b"{}", 0, index) for n, index in enumerate(indexes)]
    assert list(await store.commit([Commit("log", (*puts, Put(HEAD, "head", b"{}", 0)))])) == [COMMITTED]
    (transaction,) = sidecar.transactions
    assert 90 < len(transaction["operations"]) <= 100, "more would not fit, fewer would be slow"
