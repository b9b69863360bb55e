"""Opens the store of this process: SQLite, PostgreSQL, Cosmos DB or the Dapr state store, as the settings say."""

import logging
import os
import signal
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cludale.adapters.cosmos import layout as cosmos_layout
from cludale.adapters.dapr import state as dapr_state
from cludale.adapters.simulated_payments import Ledger
from cludale.adapters.simulated_payments.records_ledger import RecordsLedger
from cludale.adapters.sqlite import SqliteStore, StoreFailed
from cludale.kernel.wire import Codec
from cludale.ports.outbox import Outbox
from cludale.ports.records import Kind, Records
from cludale.runtime import dead_letters
from cludale.runtime.readiness import Pulse
from cludale.services.audit import store as audit
from cludale.services.catalogue import CATALOGUE, KINDS, SERVICES
from cludale.services.concerts import store as concerts
from cludale.web.limits import Limits
from cludale.web.shared_limits import Exchange, SharedLimit
from cludale.wiring.needs import MissingSetting, sidecar_of, without_asyncpg
from cludale.wiring.settings import Settings

if TYPE_CHECKING:
    from cludale.adapters.cosmos.store import CosmosStore

STORE = "cludale.db"
LEDGER = "simulated-provider.db"

STATE_KINDS = (*audit.KINDS, *dead_letters.KINDS)
"""Those of audit by itself, in a Dapr state store."""
STATE_STORE_USERS = ("audit", "concerts")
"""Who may have records in a Dapr state store: audit all, concerts those in `concerts.BY_ID`."""


def sorted_by(kinds: Iterable[Kind]) -> tuple[str, ...]:
    """The fields by which these are sorted."""
    return tuple(sorted({field for kind in kinds for field in kind.sorted_by}))


CONTAINERS = tuple(cosmos_layout.Container(each.name, sorted_by(each.kinds)) for each in SERVICES)
"""In Cosmos DB, one for each service; its identity needs rights to this one alone."""
SHARED_CONTAINER = cosmos_layout.Container("cludale", sorted_by(kind for each in SERVICES for kind in each.kinds))
"""For a process that runs several services: local trials and tests, not needed where each service is on its own."""

_log = logging.getLogger(__name__)


def is_of_one_process(settings: Settings) -> bool:
    """Does no other process write to the store? SQLite's is locked by the one that has it open."""
    return settings.database_url is None and settings.cosmos_endpoint is None and settings.audit_state is None


class Store(Records, Outbox, Protocol):
    """What the wiring asks of a store besides its ports."""

    pulse: Pulse

    async def probe(self) -> None:
        """Write something small, durably. Raises StoreUnavailable, which says why."""
        ...

    async def start(self) -> None:
        """Open what could not be opened at once."""
        ...

    async def close(self) -> None:
        """Write what waits, and let go."""
        ...


def open_store(settings: Settings, only: Collection[str]) -> Store:
    """PostgreSQL, Cosmos DB or a Dapr state store if one is named, else SQLite in the data folder."""
    if settings.audit_state is not None:
        return _state_store(settings, settings.audit_state, STATE_KINDS)
    if settings.database_url is not None:
        return postgres_store(settings.database_url, only)
    if settings.cosmos_endpoint is not None:
        return _cosmos_store(settings, _container_of(only))
    return SqliteStore(settings.data_dir / STORE, KINDS, Codec(CATALOGUE), on_fatal=_end_process)


def concerts_state_store(settings: Settings) -> dapr_state.StateStore | None:
    """Where concerts keeps what is read by id alone, if that has a store of its own."""
    if settings.concerts_state is None:
        return None
    return _state_store(settings, settings.concerts_state, concerts.BY_ID, by_id=concerts.BY_ID)


def _state_store(
    settings: Settings, name: str, kinds: Collection[Kind], *, by_id: Collection[Kind] = ()
) -> dapr_state.StateStore:
    return dapr_state.StateStore(
        sidecar_of(settings),
        name,
        kinds,
        Codec(CATALOGUE),
        ranged=sorted_by(kinds),
        by_id=by_id,
        type=dapr_state.StateType(settings.state_type.value),
    )


def postgres_store(url: str, only: Collection[str]) -> Store:
    """One schema a process: the service's own, or one for several."""
    try:
        from cludale.adapters.postgres import PostgresStore  # noqa: PLC0415 - only this shape needs asyncpg
    except ModuleNotFoundError as missing:
        raise without_asyncpg(missing) from missing
    schema = next(iter(only)) if len(only) == 1 else "cludale"
    return PostgresStore(url, kinds_of(only), Codec(CATALOGUE), schema=schema)


def kinds_of(only: Collection[str]) -> list[Kind]:
    """The kinds that a process with these services keeps."""
    return [kind for kind in KINDS if kind.service in only or kind in dead_letters.KINDS]


async def audit_log_in_cosmos(settings: Settings) -> "CosmosStore":
    """The store that has the audit log in the account that is named, to be read: no container is made.

    Raises ContainerMissing, StoreUnavailable.
    """
    own = _cosmos_store(settings, _container_of({"audit"}), has_outbox=False, may_create=False)
    from cludale.adapters.cosmos.account import ContainerMissing  # noqa: PLC0415 - it needs azure-cosmos

    try:
        return await _started(own)
    except ContainerMissing:
        return await _started(_cosmos_store(settings, SHARED_CONTAINER, has_outbox=False, may_create=False))


async def _started(store: "CosmosStore") -> "CosmosStore":
    try:
        await store.start()
    except BaseException:
        await store.close()
        raise
    return store


def _container_of(services: Collection[str]) -> cosmos_layout.Container:
    return next((each for each in CONTAINERS if {each.name} == set(services)), SHARED_CONTAINER)


def _cosmos_store(
    settings: Settings,
    container: cosmos_layout.Container,
    *,
    has_outbox: bool = True,
    may_create: bool | None = None,
) -> "CosmosStore":
    """The store in one container, with the account's key or this machine's identity."""
    try:
        from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415 - only this shape needs it

        from cludale.adapters.cosmos.store import CosmosStore  # noqa: PLC0415 - only this shape needs azure-cosmos
    except ModuleNotFoundError as missing:
        raise MissingSetting(
            f"CLUDALE_COSMOS_ENDPOINT is set, and the package {missing.name} is not there: pip install 'cludale[azure]'"
        ) from missing
    return CosmosStore(
        settings.cosmos_endpoint or "",
        settings.cosmos_key or DefaultAzureCredential(),
        Codec(CATALOGUE),
        container,
        database=settings.cosmos_database,
        has_outbox=has_outbox,
        may_create=may_create,
    )


def commit_limit(settings: Settings) -> int | None:
    """The most records in one commit, if the store has a limit."""
    if settings.audit_state is not None:
        return dapr_state.DIALECTS[dapr_state.StateType(settings.state_type.value)].sure_operations
    return None if settings.cosmos_endpoint is None else cosmos_layout.COMMIT_OPERATIONS


def ledger(settings: Settings) -> Path | Ledger:
    """The simulated provider's: where all replicas of payments find it."""
    if settings.cosmos_endpoint is not None:
        return RecordsLedger(_cosmos_store(settings, cosmos_layout.PROVIDER_CONTAINER, has_outbox=False))
    if settings.database_url is None:
        return settings.data_dir / LEDGER
    from cludale.adapters.simulated_payments.shared_ledger import SharedLedger  # noqa: PLC0415 - it needs asyncpg

    return SharedLedger(settings.database_url)


def exchange(settings: Settings, limits: Limits | None, only: Collection[str]) -> Exchange | None:
    """What keeps limits on requests in step with other processes; None where this one counts for itself."""
    shared = [each for each in (limits or ())[1:] if isinstance(each, SharedLimit)]
    if not shared or settings.database_url is None:
        return None
    from cludale.adapters.postgres.request_counts import PostgresCounts  # noqa: PLC0415 - it needs asyncpg

    return Exchange(PostgresCounts(settings.database_url), shared, group=",".join(sorted(only)), clock=time.time)


def _end_process(failed: StoreFailed) -> None:
    _log.critical("the store failed: %s. Ending, so that the next start recovers from what is on the disk.", failed)
    os.kill(os.getpid(), signal.SIGKILL)
