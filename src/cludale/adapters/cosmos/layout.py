"""What has to be there in the Cosmos DB account: containers, partition key, indexes, TTL. The one place that says so.

Data only, no client: the infrastructure's files are compared with this, the tests create containers from it, and the
documents (`documents.py`) are made to fit. A process that runs one service uses the container of that name; one that
runs several keeps them all in `cludale`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

DATABASE = "cludale"
CONSISTENCY = "Strong"
"""The account's default consistency. With less, one replica may not see what another has answered for; commits are
safe with any, for they compare ETags."""

PARTITION_KEY = "pk"
PARTITION_KEY_PATH = f"/{PARTITION_KEY}"
PARTITION_KEY_VERSION = 2
"""Hash version 2: partition keys of up to 2 KB, all of which counts."""

INDEXED_PATHS = (PARTITION_KEY_PATH, "/kind", "/came", "/owner")
"""`kind` is of a record or an outbox item, `came` when it came, `owner` which replica publishes an outbox item."""
FIELDS = "fields"
"""Where a record has the values of its indexed fields."""

BATCH_OPERATIONS = 100
"""The most operations in one transactional batch; the service's own limit."""
BATCH_BYTES = 1_200_000
"""The most bytes of documents in one batch. The service says 2 MB for a request, of which its framing takes a part."""
COMMIT_OPERATIONS = 96
"""The most puts that one commit may have: the rest of a batch is for its events."""


class Container(NamedTuple):
    """A container: its name, and the fields that queries sort by."""

    name: str
    sorted_by: Sequence[str] = ()

    @property
    def default_ttl(self) -> int | None:
        """Seconds after which documents vanish; None: never. Nothing vanishes here: see docs/run/cosmos-db.md."""
        return None

    @property
    def indexing_policy(self) -> Mapping[str, Any]:
        """The indexing policy, as the REST API and resource templates have it.

        Bodies are not indexed. Each sort needs a composite index of just its paths, in its order; the reverse order
        is served by the same.
        """
        return {
            "indexingMode": "consistent",
            "automatic": True,
            "includedPaths": [{"path": f"{path}/?"} for path in INDEXED_PATHS] + [{"path": f"/{FIELDS}/*"}],
            "excludedPaths": [{"path": "/*"}],
            "compositeIndexes": [
                _composite("/kind", "/came"),
                *(_composite("/kind", f"/{FIELDS}/{field}", "/came") for field in self.sorted_by),
            ],
        }

    def resource(self) -> Mapping[str, Any]:
        """The container as a resource: what the REST API creates, and `properties.resource` in a template."""
        return {
            "id": self.name,
            "partitionKey": {"paths": [PARTITION_KEY_PATH], "kind": "Hash", "version": PARTITION_KEY_VERSION},
            "indexingPolicy": self.indexing_policy,
            **({} if self.default_ttl is None else {"defaultTtl": self.default_ttl}),
        }


def _composite(*paths: str) -> list[dict[str, str]]:
    return [{"path": path, "order": "ascending"} for path in paths]


PROVIDER_CONTAINER = Container("simulated-provider")
"""The simulated payment provider's ledger; payments alone uses it."""
