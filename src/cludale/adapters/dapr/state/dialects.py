"""How kinds of state stores differ: how a key looks, and how much fits into one transaction."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

KIBIBYTE = 1024


class StateType(StrEnum):
    """What is behind the component. `any` is PostgreSQL and whatever else has transactions and ETags."""

    ANY = "any"
    COSMOS = "azure.cosmosdb"


class Dialect(NamedTuple):
    """How a state store is asked."""

    commit_operations: int
    """The most records in one commit."""
    sure_operations: int
    """So many of them always fit into a transaction, with the index pages that it changes."""
    commit_bytes: int
    """The most bytes of bodies in one commit, as Base64; the rest of a request is for the index."""
    transaction_operations: int | None
    """The most writes in one transaction; None: any number."""
    transaction_bytes: int
    """The most bytes of one transaction's request."""
    partition: str | None = None
    """The partition that everything is in, where a transaction has to be in one."""
    key_signs: Mapping[int, str] = {}
    """What stands in a key for a sign that it may not have."""

    def key(self, key: str) -> str:
        """The key as this store takes it; two keys never become one."""
        return key.translate(self.key_signs)

    @property
    def query(self) -> str:
        """What is put behind the path of a read."""
        return "" if self.partition is None else f"?metadata.partitionKey={self.partition}"


_ANY = Dialect(
    commit_operations=250,  # stores write them one by one, and a transaction has to fit into their time limits
    sure_operations=250,
    commit_bytes=2 * KIBIBYTE * KIBIBYTE,
    transaction_operations=None,
    transaction_bytes=(4 * KIBIBYTE - 1) * KIBIBYTE,  # the sidecar takes requests up to 4 MiB
)

# Microsoft: 100 operations and 2 MB a transactional batch, which is in one logical partition
# (https://learn.microsoft.com/azure/cosmos-db/concepts-limits); an id has no / \ ? #. Keys have % for whatever is not a
# letter or a digit (documents.py) and ~ as it stands: so ~ can take the place of %, once it has a form of its own.
_COSMOS = Dialect(
    commit_operations=96,
    sure_operations=10,  # an entry of the log writes itself and at most nine index pages, and the head is one of the 10
    commit_bytes=1_500_000,
    transaction_operations=100,
    transaction_bytes=1_800_000,
    partition="records",
    key_signs=str.maketrans({"/": ":", " ": "~20", "%": "~", "~": "~7E"}),
)

DIALECTS = {StateType.ANY: _ANY, StateType.COSMOS: _COSMOS}


def cosmos_container(name: str) -> Mapping[str, Any]:
    """A container for one app's state, as the REST API and resource templates have it.

    Dapr fixes the partition key's path, and finds documents by their ids, which are indexed whatever is said here.
    """
    path = "/partitionKey"
    return {
        "id": name,
        "partitionKey": {"paths": [path], "kind": "Hash", "version": 2},
        "indexingPolicy": {
            "indexingMode": "consistent",
            "automatic": True,
            "includedPaths": [{"path": f"{path}/?"}],
            "excludedPaths": [{"path": "/*"}],
        },
    }
