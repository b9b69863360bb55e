"""One container, spoken to through the SDK: every call has a deadline, retries have a bound, and errors have our names.

Throttling (429) is waited out here for as long as the service itself says, not in the SDK, so that it can be counted
and bounded. What a call has cost in request units is added up by kind of operation.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from azure.core import MatchConditions
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError
from azure.cosmos import PartitionKey
from azure.cosmos._retry_options import RetryOptions
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy
from azure.cosmos.documents import ConnectionPolicy
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

from cludale.adapters.cosmos import layout
from cludale.adapters.cosmos.layout import Container
from cludale.adapters.cosmos.planning import Create, Delete, Operation, Replace
from cludale.adapters.cosmos.transport import NoAnswer, OneTry
from cludale.ports.records import CommitTooLarge, StoreUnavailable

T = TypeVar("T")
Document = dict[str, Any]

logging.getLogger("azure").setLevel(logging.WARNING)  # it tells of every request at INFO

_REFUSED = frozenset({404, 409, 412})
_THROTTLED = 429
_TOO_LARGE = 413
_FORBIDDEN = frozenset({401, 403})
_FULL = (403, 1014)
"""Status and substatus of a write to a logical partition that has its 20 GB: no matter of credentials."""
_SUBSTATUS = "x-ms-substatus"
_RETRY_AFTER = "x-ms-retry-after-ms"
_CHARGE = "x-ms-request-charge"
_DEFAULT_WAIT_SECONDS = 0.1
"""How long a throttled call waits if the service doesn't say."""


_SENT_WITHIN = 0.8
"""The part of a request's time after which it is not sent: what is cut off at once may have been done all the same."""
READ_TRIES = 3
"""How often a read is asked for while the connection breaks under it."""
_READS = frozenset({"read", "query", "query_across", "read_container", "read_ranges"})


class Refused(Exception):
    """A write was refused for what is there: nothing was written."""

    def __init__(self, index: int, status: int) -> None:
        super().__init__(f"operation {index}: {status}")
        self.index = index
        """Of the operation."""
        self.status = status


class ContainerMissing(StoreUnavailable):
    """The database or container isn't there, and may not be made with this credential."""


class AccountLimits(NamedTuple):
    """Bounds of what a container is asked."""

    request_seconds: float = 5.0
    """How long one request may take, with the wait for others before it."""
    throttled_seconds: float = 15.0
    """How long a call goes on trying while the service throttles it."""
    concurrency: int = 64
    """Requests at once; more of them wait, and are not sent if little of their time is left then."""


class Account:
    """A container in an account, over one client. Used from one event loop."""

    def __init__(
        self,
        endpoint: str,
        credential: str | AsyncTokenCredential,
        database: str,
        container: Container,
        limits: AccountLimits,
    ) -> None:
        self._credential = credential
        policy = ConnectionPolicy()
        policy.RetryOptions = RetryOptions(max_retry_attempt_count=0)  # as an argument of the client's, 0 means 9
        # With it the SDK sends a write again 0.5 s after a 503, and one that was done all the same then looks like a
        # conflict with somebody else. The store sends it again by itself, and knows its own.
        policy.EnableEndpointDiscovery = False
        client = self._client = CosmosClient(
            endpoint,
            credential,
            connection_policy=policy,
            retry_connect=1,
            connection_timeout=limits.request_seconds,
            user_agent_suffix="cludale",
            transport=OneTry(),
        )
        self._database: DatabaseProxy = client.get_database_client(database)
        self._container: ContainerProxy = self._database.get_container_client(container.name)
        self._layout = container
        self._limits = limits
        self._room = asyncio.Semaphore(limits.concurrency)
        self._ranges: Sequence[dict[str, Any]] | None = None
        self.charge: Counter[str] = Counter()
        """Request units by kind of operation."""
        self.requests: Counter[str] = Counter()
        self.throttled = 0
        self.crowded_out = 0
        """Requests that were not sent, for too many others were under way."""

    async def prepare(self, *, may_create: bool) -> None:
        """Is the container there, with the partition key that it must have? Makes it where that is allowed.

        Raises ContainerMissing, StoreUnavailable.
        """
        where = f"container {self._layout.name!r} in database {self._database.id!r}"
        try:
            found = await self._call("read_container", lambda hook: self._container.read(response_hook=hook))
        except Refused as refused:
            if not may_create:
                raise ContainerMissing(
                    f"there is no {where}, and this identity may not make it: deploy the infrastructure first"
                ) from refused
            await self._create()
            return
        paths = found["partitionKey"]["paths"]
        if paths != [layout.PARTITION_KEY_PATH]:
            raise ContainerMissing(f"{where} has the partition key {paths}, and must have {layout.PARTITION_KEY_PATH}")

    async def _create(self) -> None:
        wanted = self._layout.resource()
        await self._call("create_container", lambda _: self._client.create_database_if_not_exists(self._database.id))
        key = wanted["partitionKey"]
        await self._call(
            "create_container",
            lambda _: self._database.create_container_if_not_exists(
                self._layout.name,
                PartitionKey(path=key["paths"][0], kind=key["kind"], version=key["version"]),
                indexing_policy=dict(wanted["indexingPolicy"]),
            ),
        )

    async def read(self, partition: str, id: str) -> Document | None:
        """The document, if it is there."""
        try:
            return dict(
                await self._call(
                    "read", lambda hook: self._container.read_item(id, partition_key=partition, response_hook=hook)
                )
            )
        except Refused:
            return None

    async def write(self, partition: str, operations: Sequence[Operation]) -> list[str]:
        """Do all of it or nothing; the new ETag of each document. Raises Refused, NoAnswer, CommitTooLarge."""
        if len(operations) == 1:
            return [await self._write_one(partition, operations[0])]
        batch = [_in_batch(operation) for operation in operations]
        results = await self._call(
            "batch",
            lambda hook: self._container.execute_item_batch(batch, partition_key=partition, response_hook=hook),
        )
        return [result.get("eTag", "") for result in results]

    async def _write_one(self, partition: str, operation: Operation) -> str:
        container = self._container
        match operation:
            case Create(document):
                written = await self._call("create", lambda hook: container.create_item(document, response_hook=hook))
            case Replace(document, etag):
                written = await self._call(
                    "replace",
                    lambda hook: container.replace_item(
                        document["id"],
                        document,
                        etag=etag,
                        match_condition=MatchConditions.IfNotModified,
                        response_hook=hook,
                    ),
                )
            case Delete(id):
                await self._call(
                    "delete", lambda hook: container.delete_item(id, partition_key=partition, response_hook=hook)
                )
                return ""
        return str(written["_etag"])

    async def query(self, partition: str, sql: str, parameters: Mapping[str, Any]) -> list[Document]:
        """All answers of a query within a partition; the query itself bounds how many."""
        return await self._query("query", sql, parameters, {"partition_key": partition})

    async def query_everywhere(self, sql: str, parameters: Mapping[str, Any]) -> list[Document]:
        """The answers of a query in all partitions, those of each physical partition together, in no order between."""
        if self._ranges is None:
            self._ranges = await self._call("read_ranges", lambda _: self._read_ranges())
        found = await asyncio.gather(
            *(self._query("query_across", sql, parameters, {"feed_range": each}) for each in self._ranges)
        )
        return [document for documents in found for document in documents]

    async def _read_ranges(self) -> list[dict[str, Any]]:
        return [each async for each in self._container.read_feed_ranges()]

    async def _query(
        self, operation: str, sql: str, parameters: Mapping[str, Any], where: Mapping[str, Any]
    ) -> list[Document]:
        given = [{"name": f"@{name}", "value": value} for name, value in parameters.items()]

        async def ask(hook: Callable[..., None]) -> list[Document]:
            pages = self._container.query_items(
                sql, parameters=given, response_hook=hook, max_item_count=1_000, **where
            )
            return [dict(each) async for each in pages]

        return await self._call(operation, ask)

    async def _call(self, operation: str, ask: Callable[[Callable[..., None]], Awaitable[T]]) -> T:
        """Ask, and again while the service throttles. Raises Refused, NoAnswer, StoreUnavailable, CommitTooLarge."""

        def hook(headers: Mapping[str, Any], *_: Any) -> None:
            self._count(operation, headers)

        clock = asyncio.get_running_loop().time
        deadline = clock() + self._limits.throttled_seconds
        tries = READ_TRIES if operation in _READS else 1
        while True:
            tries -= 1
            began = clock()
            await self._make_room(began)
            try:
                async with asyncio.timeout_at(began + self._limits.request_seconds):
                    return await ask(hook)
            except TimeoutError as error:
                raise NoAnswer(f"no answer within {self._limits.request_seconds:g} s") from error
            except (CosmosHttpResponseError, CosmosBatchOperationError) as error:
                self._count(operation, error.headers or {})
                if error.status_code != _THROTTLED:
                    raise _understood(error) from error
                self.throttled += 1
                tries += 1
                wait = _wait_seconds(error.headers or {})
                if clock() + wait > deadline:
                    raise StoreUnavailable(
                        f"Cosmos DB has throttled this for {self._limits.throttled_seconds:g} s"
                    ) from error
            except ClientAuthenticationError as error:
                raise StoreUnavailable(f"Cosmos DB does not know this credential: {error.message}") from error
            except ServiceRequestError as error:
                raise StoreUnavailable(f"Cosmos DB can't be reached: {error}") from error
            except NoAnswer:
                if not tries:
                    raise
                wait = 0.0  # nothing was to be done but to answer
            except AzureError as error:
                raise NoAnswer(f"Cosmos DB broke off: {error}") from error
            finally:
                self._room.release()
            await asyncio.sleep(wait)

    async def _make_room(self, began: float) -> None:
        """Wait until fewer are under way. Raises StoreUnavailable: nothing was sent, so nothing was done."""
        most = self._limits.request_seconds * _SENT_WITHIN
        try:
            async with asyncio.timeout_at(began + most):
                await self._room.acquire()
        except TimeoutError as error:
            self.crowded_out += 1
            raise StoreUnavailable(
                f"{self._limits.concurrency} requests to Cosmos DB are under way, and none has ended for {most:g} s: "
                "this one was not sent"
            ) from error

    def _count(self, operation: str, headers: Mapping[str, Any]) -> None:
        self.requests[operation] += 1
        self.charge[operation] += float(headers.get(_CHARGE) or 0)  # type: ignore[assignment] # a Counter of floats

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
        if not isinstance(self._credential, str):
            await self._credential.close()


def _in_batch(operation: Operation) -> Any:
    match operation:
        case Create(document):
            return ("create", (document,))
        case Replace(document, etag):
            return ("replace", (document["id"], document), {"if_match_etag": etag})
        case Delete(id):
            return ("delete", (id,))


def _wait_seconds(headers: Mapping[str, Any]) -> float:
    said = headers.get(_RETRY_AFTER)
    return _DEFAULT_WAIT_SECONDS if said is None else max(0.001, float(said) / 1_000)


def _substatus(error: CosmosHttpResponseError | CosmosBatchOperationError) -> int:
    """The substatus; 0 for none."""
    return int((error.headers or {}).get(_SUBSTATUS) or 0)


def _understood(error: CosmosHttpResponseError | CosmosBatchOperationError) -> Exception:
    status = error.status_code or 0
    index = getattr(error, "error_index", 0) or 0
    if status in _REFUSED:
        return Refused(index, status)
    if status == _TOO_LARGE:
        return CommitTooLarge(f"Cosmos DB takes no request of this size: {error.message}")
    if status == _FULL[0] and (_substatus(error) == _FULL[1] or "maximum size" in str(error.message)):
        return StoreUnavailable(
            f"a logical partition of Cosmos DB is full, it takes nothing more ({status}/{_FULL[1]}): {error.message}"
        )
    if status in _FORBIDDEN:
        return StoreUnavailable(f"Cosmos DB refuses this credential ({status}): {error.message}")
    if status == 400:
        return ValueError(f"Cosmos DB can't make sense of this: {error.message}")
    return NoAnswer(f"Cosmos DB answered {status}: {error.message}")
