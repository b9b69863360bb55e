"""How large the audit log is in a Dapr state store: the same events, recorded over a sidecar that is a dictionary."""

from collections.abc import Mapping, Sequence

import msgspec

from cludale.adapters.dapr.sidecar import Sidecar
from cludale.adapters.dapr.state import StateStore
from cludale.adapters.system.clock import SystemClock
from cludale.kernel.wire import Codec
from cludale.ports.bus import Delivery
from cludale.services.audit.service import Audit
from cludale.services.audit.store import KINDS
from cludale.services.catalogue import CATALOGUE
from cludale.web.http1 import ClientResponse

BATCH = 25
"""Events that are recorded at once. Assumed."""


class _Asked(msgspec.Struct):
    keys: Sequence[str] = ()
    operations: Sequence["_Operation"] = ()


class _Operation(msgspec.Struct):
    request: "_Write"


class _Write(msgspec.Struct):
    key: str
    value: msgspec.Raw


class _Dictionary(Sidecar):
    """The state API, for one writer: ETags always fit."""

    def __init__(self) -> None:
        super().__init__(0, None)
        self.held: dict[str, bytes] = {}

    async def ask(
        self,
        method: str,  # noqa: ARG002 - as Sidecar
        path: str,
        body: bytes = b"",
        *,
        timeout_seconds: float,  # noqa: ARG002 - the same
        headers: Mapping[str, str] | None = None,  # noqa: ARG002 - the same
        traceparent: str | None = None,  # noqa: ARG002 - the same
        repeatable: bool = False,  # noqa: ARG002 - the same
    ) -> ClientResponse:
        """Answer at once."""
        asked = msgspec.json.decode(body, type=_Asked)
        if path.partition("?")[0].endswith("/bulk"):
            there = [
                {"key": key, "data": msgspec.Raw(self.held[key]), "etag": "1"} for key in asked.keys if key in self.held
            ]
            return ClientResponse(200, msgspec.json.encode(there))
        for operation in asked.operations:
            self.held[operation.request.key] = bytes(operation.request.value)
        return ClientResponse(204, b"")


async def measure_state(events: Sequence[bytes]) -> tuple[float, float]:
    """Documents and bytes (keys and values) that an entry of the log takes, indexes and all."""
    codec, sidecar = Codec(CATALOGUE), _Dictionary()
    store = StateStore(sidecar, "state", KINDS, codec, ranged=("dueAt", "time"))
    audit = Audit(store, SystemClock(), patience=1_000)
    for at in range(0, len(events), BATCH):
        batch = [Delivery(codec.decode(event), event) for event in events[at : at + BATCH]]
        await audit.handle(batch)
    recorded = (await audit.verify()).events
    await store.close()
    return len(sidecar.held) / recorded, sum(len(key) + len(value) for key, value in sidecar.held.items()) / recorded
