"""A double of Cosmos DB's REST API, written from its documentation: not Microsoft's code, and nobody's proof of theirs.

It is there because the only emulator that runs without containers gets batches, misses and partitions wrong. It is
strict where the service is, and stricter where a mistake would cost: keys must be right, a partition key must be given
and fit, a sort needs its index, a condition on what is not indexed is refused, and a query that would have to be taken
apart by the client is answered as the gateway does it, 400 with substatus 1004. Request charges follow the documented
rules of thumb, no more. Faults are asked for by tests (`throttle`, `lose_answer`, `refuse`, `belie`,
`split`).

Documentation: https://learn.microsoft.com/rest/api/cosmos-db/ and .../azure/cosmos-db/nosql/transactional-batch.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, NamedTuple, Self
from urllib.parse import unquote

from aiohttp import web
from azure.cosmos.partition_key import PartitionKey
from tests.product.adapters.cosmos import sql
from tests.product.adapters.cosmos.sql import UNDEFINED

KEY = base64.b64encode(b"a key of the double, 64 bytes of it as the service's own are..").decode()
ITEM_BYTES = 2 * 1024 * 1024
REQUEST_BYTES = 2 * 1024 * 1024
BATCH_OPERATIONS = 100
PAGE = 100
_FIRST, _LAST = "", "FF"

Json = dict[str, Any]


class Problem(Exception):
    """An answer that is an error."""

    def __init__(
        self, status: int, message: str, *, substatus: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.substatus = substatus
        self.headers = headers or {}


class Request(NamedTuple):
    """One request, as the tests may look at it."""

    kind: str
    partition: str | None
    size: int
    operations: Sequence[tuple[str, str, int]]
    """Of a write: what was done, to which id, how many bytes."""
    charge: float
    text: str = ""
    """Of a query: what it asks. Of a read: the id."""


class _Range(NamedTuple):
    id: str
    low: str
    high: str
    parents: tuple[str, ...] = ()


class Collection:
    """A container."""

    def __init__(self, resource: Json, ranges: int) -> None:
        self.resource = resource
        self.path = resource["partitionKey"]["paths"][0]
        self.partitions: dict[str, dict[str, Json]] = {}
        """The documents, by partition key and id."""
        step = 0x40 // ranges
        bounds = [_FIRST, *(f"{step * n:02X}" for n in range(1, ranges)), _LAST]
        self.ranges = [_Range(str(n), low, high) for n, (low, high) in enumerate(pairwise(bounds))]
        self.generation = 1
        self._hashes: dict[str, str] = {}
        policy = resource["indexingPolicy"]
        self.composites = [[each["path"] for each in index] for index in policy.get("compositeIndexes", ())]
        self._included = [each["path"] for each in policy["includedPaths"]]

    def epk(self, partition: str) -> str:
        """The effective partition key: where in the range of hashes a partition is."""
        found = self._hashes.get(partition)
        if found is None:
            key = PartitionKey(self.path, kind="Hash", version=2)
            found = self._hashes[partition] = str(
                key._get_effective_partition_key_string([partition])  # noqa: SLF001 - as the service reckons it
            )
        return found

    def range_of(self, id: str) -> _Range:
        for each in self.ranges:
            if each.id == id:
                return each
        raise Problem(410, "the partition key range is gone", substatus=1002)

    def split(self) -> None:
        """Split the first range in two, as the service does when it grows."""
        first = self.ranges[0]
        middle = f"{(int((first.low or '00')[:2], 16) + int(first.high[:2], 16)) // 2:02X}"
        number = 1 + max(int(each.id) for each in self.ranges)
        self.ranges[:1] = [
            _Range(str(number), first.low, middle, (first.id,)),
            _Range(str(number + 1), middle, first.high, (first.id,)),
        ]
        self.generation += 1

    def is_indexed(self, path: str) -> bool:
        return any(
            path == each.removesuffix("/?") or (each.endswith("/*") and path.startswith(each[:-1]))
            for each in self._included
        )

    def is_expired(self, document: Json) -> bool:
        default = self.resource.get("defaultTtl")
        ttl = document.get("ttl", default) if default is not None else None
        return ttl is not None and ttl != -1 and time.time() - document["_ts"] > ttl

    @property
    def documents(self) -> list[Json]:
        return [document for held in self.partitions.values() for document in held.values()]

    def live(self, key: tuple[str, str]) -> Json | None:
        document = self.partitions.get(key[0], {}).get(key[1])
        return None if document is None or self.is_expired(document) else document


class CosmosDouble:
    """An account with this endpoint and the key KEY. Its state is to be looked at by tests."""

    def __init__(self, *, ranges: int = 2) -> None:
        self.ranges = ranges
        self.databases: dict[str, dict[str, Collection]] = {}
        self.requests: list[Request] = []
        self.faults: Counter[str] = Counter()
        """How often each fault was made."""
        self.is_recording = False
        self._throttled: list[tuple[Callable[[str], bool], float]] = []
        self._lost: list[Callable[[str], bool]] = []
        self._refused: list[tuple[Callable[[str], bool], int, int | None]] = []
        self._belied: list[tuple[Callable[[str], bool], int]] = []
        self.delay: Callable[[str], float] = lambda _: 0.0
        self._lsn = 0
        self._pages: dict[str, list[Json]] = {}
        self.endpoint = ""
        self._runner: web.AppRunner | None = None

    # -- faults ---------------------------------------------------------------------------------------------------

    def throttle(self, times: int, *, kind: str | None = None, retry_ms: float = 5) -> None:
        """Answer the next requests of this kind 429."""
        self._throttled += [(_is(kind), retry_ms)] * times

    def lose_answer(self, times: int = 1, *, kind: str | None = None) -> None:
        """Do what the next requests of this kind say, and break the connection in place of an answer."""
        self._lost += [_is(kind)] * times

    def refuse(self, times: int, status: int, *, kind: str | None = None, substatus: int | None = None) -> None:
        """Answer the next requests of this kind with this status, and do nothing."""
        self._refused += [(_is(kind), status, substatus)] * times

    def belie(self, times: int, status: int, *, kind: str | None = None) -> None:
        """Do what the next requests of this kind say, and answer with this status all the same."""
        self._belied += [(_is(kind), status)] * times

    def collection(self, name: str | None = None) -> Collection:
        """The container of this name, or the only one."""
        found = {name: each for database in self.databases.values() for name, each in database.items()}
        return found[name] if name is not None else next(iter(found.values()))

    def lay_out(self, database: str, container: Mapping[str, Any]) -> None:
        """Make a container of this form in a database, as a template does."""
        self.databases.setdefault(database, {})
        self._create_collection(database, dict(container))

    # -- the server -----------------------------------------------------------------------------------------------

    async def start(self, port: int = 0) -> Self:
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.endpoint = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        path = [unquote(part) for part in request.raw_path.partition("?")[0].strip("/").split("/") if part]
        kind = _kind(request, path)
        await asyncio.sleep(self.delay(kind))
        try:
            self._check_key(request, path)
            self._make_faults(kind)
            status, answer, headers = self._route(request, kind, path, body)
        except Problem as problem:
            status, headers = problem.status, dict(problem.headers)
            answer = {"code": str(problem.status), "message": str(problem)}
            if problem.substatus is not None:
                headers["x-ms-substatus"] = str(problem.substatus)
        if _first(self._lost, lambda fits: fits(kind)) is not None:
            self.faults["lost answer"] += 1
            assert request.transport is not None
            request.transport.close()
            await asyncio.sleep(3600)
        belied = _first(self._belied, lambda each: each[0](kind))
        if belied is not None:
            self.faults["belied"] += 1
            status, answer = belied[1], {"code": str(belied[1]), "message": "done, and denied, as a test asked for"}
        self._lsn += 1
        headers = {
            "x-ms-request-charge": "1",
            "x-ms-session-token": f"0:-1#{self._lsn}",
            "x-ms-activity-id": "0",
            **headers,
        }
        if status in (204, 304):
            return web.Response(status=status, headers=headers)
        return web.json_response(answer, status=status, headers=headers)

    def _make_faults(self, kind: str) -> None:
        throttled = _first(self._throttled, lambda each: each[0](kind))
        if throttled is not None:
            self.faults["throttled"] += 1
            headers = {"x-ms-retry-after-ms": f"{throttled[1]:g}"}
            raise Problem(429, "Request rate is large", substatus=3200, headers=headers)
        refused = _first(self._refused, lambda each: each[0](kind))
        if refused is not None:
            self.faults["refused"] += 1
            raise Problem(refused[1], "asked for by a test", substatus=refused[2])

    def _check_key(self, request: web.Request, path: Sequence[str]) -> None:
        given = unquote(request.headers.get("Authorization", ""))
        date = request.headers.get("x-ms-date", "")
        types = path[::2]
        is_feed = len(path) % 2 == 1
        link = "/".join(path[:-1] if is_feed else path)
        text = f"{request.method.lower()}\n{types[-1] if types else ''}\n{link}\n{date.lower()}\n\n"
        digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
        if given != f"type=master&ver=1.0&sig={base64.b64encode(digest).decode()}":
            raise Problem(401, "The input authorization token can't serve the request.")

    def _route(  # noqa: PLR0911 - a table of routes
        self, request: web.Request, kind: str, path: Sequence[str], body: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        match path:
            case []:
                return 200, self._account(), {}
            case ["dbs"]:
                name = json.loads(body)["id"]
                if name in self.databases:
                    raise Problem(409, "there is such a database already")
                self.databases[name] = {}
                return 201, {"id": name, "_rid": name, "_self": f"dbs/{name}/"}, {}
            case ["dbs", database]:
                self._database(database)
                return 200, {"id": database, "_rid": database, "_self": f"dbs/{database}/"}, {}
            case ["dbs", database, "colls"]:
                return 201, self._create_collection(database, json.loads(body)), {}
            case ["dbs", database, "colls", name]:
                return 200, self._collection(database, name).resource, {}
            case ["dbs", database, "colls", name, "pkranges"]:
                return self._ranges(self._collection(database, name), request)
            case ["dbs", database, "colls", name, "docs"]:
                return self._documents(self._collection(database, name), request, kind, body)
            case ["dbs", database, "colls", name, "docs", id]:
                return self._document(self._collection(database, name), request, id, body)
        raise Problem(404, f"{'/'.join(path)} is nothing")

    def _account(self) -> Json:
        here = [{"name": "Here", "databaseAccountEndpoint": self.endpoint}]
        return {
            "id": "double",
            "_rid": "double",
            "_self": "",
            "writableLocations": here,
            "readableLocations": here,
            "enableMultipleWriteLocations": False,
            "userConsistencyPolicy": {"defaultConsistencyLevel": "Strong"},
        }

    def _database(self, name: str) -> dict[str, Collection]:
        if name not in self.databases:
            raise Problem(404, f"there is no database {name}", substatus=1003)
        return self.databases[name]

    def _collection(self, database: str, name: str) -> Collection:
        found = self._database(database)
        if name not in found:
            raise Problem(404, f"there is no container {name}", substatus=1003)
        return found[name]

    def _create_collection(self, database: str, wanted: Json) -> Json:
        collections = self._database(database)
        name = wanted["id"]
        if name in collections:
            raise Problem(409, "there is such a container already")
        resource = wanted | {"_rid": f"{database}.{name}", "_self": f"dbs/{database}/colls/{name}/", "_etag": '"1"'}
        collections[name] = Collection(resource, self.ranges)
        return resource

    def _ranges(self, collection: Collection, request: web.Request) -> tuple[int, Any, dict[str, str]]:
        etag = f'"{collection.generation}"'
        if request.headers.get("If-None-Match") == etag:
            return 304, None, {"etag": etag}
        ranges = [
            {
                "id": each.id,
                "_rid": each.id,
                "minInclusive": each.low,
                "maxExclusive": each.high,
                "parents": list(each.parents),
                "status": "online",
            }
            for each in collection.ranges
        ]
        return 200, {"_rid": "r", "PartitionKeyRanges": ranges, "_count": len(ranges)}, {"etag": etag}

    # -- documents ------------------------------------------------------------------------------------------------

    def _documents(
        self, collection: Collection, request: web.Request, kind: str, body: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        if len(body) > REQUEST_BYTES:
            raise Problem(413, "Request size is too large")
        content = json.loads(body)
        if kind == "query":
            return self._query(collection, request, content)
        partition = _partition(request)
        if kind == "batch":
            return self._batch(collection, partition, content, len(body))
        document, charge = self._put(collection, partition, content, if_match=None, is_new=True)
        self._note(kind, partition, len(body), [("Create", document["id"], len(body))], charge)
        return 201, document, _etag(document, charge)

    def _document(
        self, collection: Collection, request: web.Request, id: str, body: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        partition = _partition(request)
        key = (partition, id)
        if request.method == "GET":
            found = collection.live(key)
            charge = float(_kilobytes(found))
            self._note("read", partition, 0 if found is None else len(json.dumps(found)), [], charge, id)
            if found is None:
                raise Problem(
                    404, "Entity with the specified id does not exist in the system.", headers=_charge(charge)
                )
            return 200, found, _etag(found, charge)
        match = request.headers.get("If-Match")
        if request.method == "DELETE":
            charge = self._delete(collection, key, match)
            self._note("delete", partition, 0, [("Delete", id, 0)], charge)
            return 204, None, _charge(charge)
        content = json.loads(body)
        if content.get("id") != id:
            raise Problem(400, "the id of a document does not change")
        document, charge = self._put(collection, partition, content, if_match=match, is_new=False)
        self._note("replace", partition, len(body), [("Replace", id, len(body))], charge)
        return 200, document, _etag(document, charge)

    def _put(
        self, collection: Collection, partition: str, content: Json, *, if_match: str | None, is_new: bool
    ) -> tuple[Json, float]:
        id = content.get("id")
        if not isinstance(id, str) or not id or len(id.encode()) > 1_023 or any(c in id for c in "/\\?#"):
            raise Problem(400, f"{id!r} can't be an id")
        if sql.at(content, collection.path) != partition:
            raise Problem(400, "PartitionKey extracted from document doesn't match the one specified in the header")
        if len(partition.encode()) > 2_048:
            raise Problem(400, "the partition key is too long")
        size = len(json.dumps(content).encode())
        if size > ITEM_BYTES:
            raise Problem(413, "Request size is too large")
        key = (partition, id)
        found = collection.live(key)
        if is_new and found is not None:
            raise Problem(409, "Entity with the specified id already exists in the system.")
        if not is_new:
            if found is None:
                raise Problem(404, "Entity with the specified id does not exist in the system.")
            if if_match is not None and found["_etag"] != if_match:
                raise Problem(412, "One of the specified pre-condition is not met.")
        self._lsn += 1
        document = {
            **{name: value for name, value in content.items() if not name.startswith("_")},
            "_rid": f"d{self._lsn}",
            "_self": "",
            "_etag": f'"{self._lsn:08x}-0000"',
            "_attachments": "attachments/",
            "_ts": int(time.time()),
        }
        collection.partitions.setdefault(partition, {})[id] = document
        return document, 5.0 * max(1, _kilobytes(document) ** 0.5)

    def _delete(self, collection: Collection, key: tuple[str, str], if_match: str | None) -> float:
        found = collection.live(key)
        if found is None:
            raise Problem(404, "Entity with the specified id does not exist in the system.")
        if if_match is not None and found["_etag"] != if_match:
            raise Problem(412, "One of the specified pre-condition is not met.")
        del collection.partitions[key[0]][key[1]]
        return 5.0

    def _batch(
        self, collection: Collection, partition: str, operations: Sequence[Json], size: int
    ) -> tuple[int, Any, dict[str, str]]:
        if not 1 <= len(operations) <= BATCH_OPERATIONS:
            raise Problem(400, "Batch request has more operations than what is supported.")
        touched = [str(each.get("id") or each["resourceBody"]["id"]) for each in operations]
        held = collection.partitions.setdefault(partition, {})
        before = {id: held.get(id) for id in touched}
        results: list[Json] = []
        done: list[tuple[str, str, int]] = []
        total = 0.0
        for at, operation in enumerate(operations):
            try:
                document, charge = self._operation(collection, partition, operation)
            except Problem as problem:
                for id, document in before.items():
                    held.pop(id, None)
                    if document is not None:
                        held[id] = document
                failed = [{"statusCode": 424, "requestCharge": 0} for _ in operations]
                failed[at]["statusCode"] = problem.status
                return 207, failed, _charge(total + 1)
            total += charge
            body = operation.get("resourceBody")
            length = 0 if body is None else len(json.dumps(body))
            done.append(
                (operation["operationType"], str(operation.get("id") or operation["resourceBody"]["id"]), length)
            )
            results.append(
                {"statusCode": 204, "requestCharge": charge}
                if document is None
                else {
                    "statusCode": 201 if operation["operationType"] == "Create" else 200,
                    "requestCharge": charge,
                    "eTag": document["_etag"],
                    "resourceBody": document,
                }
            )
        self._note("batch", partition, size, done, total)
        return 200, results, _charge(total)

    def _operation(self, collection: Collection, partition: str, operation: Json) -> tuple[Json | None, float]:
        match operation["operationType"]:
            case "Create":
                return self._put(collection, partition, operation["resourceBody"], if_match=None, is_new=True)
            case "Replace":
                body = operation["resourceBody"]
                if body.get("id") != operation["id"]:
                    raise Problem(400, "the id of a document does not change")
                return self._put(collection, partition, body, if_match=operation.get("ifMatch"), is_new=False)
            case "Upsert":  # a condition is of what is there; where nothing is, none is looked at
                body = operation["resourceBody"]
                is_new = collection.live((partition, body["id"])) is None
                return self._put(collection, partition, body, if_match=operation.get("ifMatch"), is_new=is_new)
            case "Delete":
                return None, self._delete(collection, (partition, operation["id"]), operation.get("ifMatch"))
        raise Problem(400, f"the double knows no {operation['operationType']} in a batch")

    # -- queries --------------------------------------------------------------------------------------------------

    def _query(self, collection: Collection, request: web.Request, content: Json) -> tuple[int, Any, dict[str, str]]:
        token = request.headers.get("x-ms-continuation")
        if token is not None:
            rows = self._pages.pop(token, None)
            if rows is None:
                raise Problem(400, "Invalid continuation token")
        else:
            rows = self._answers(collection, request, content)
        wanted = int(request.headers.get("x-ms-max-item-count", "-1"))
        size = PAGE if wanted < 1 else min(wanted, PAGE)
        page, rest = rows[:size], rows[size:]
        charge = 2.5 + 0.3 * len(page)
        headers = _charge(charge)
        self._note("query", request.headers.get("x-ms-documentdb-partitionkey"), 0, [], charge, content["query"])
        if rest:
            self._lsn += 1
            token = f"page-{self._lsn}"
            self._pages[token] = rest
            headers["x-ms-continuation"] = token
        return 200, {"_rid": "r", "Documents": page, "_count": len(page)}, headers

    def _answers(self, collection: Collection, request: web.Request, content: Json) -> list[Json]:
        parameters = {each["name"]: each["value"] for each in content.get("parameters", ())}
        try:
            query = sql.parse(content["query"], parameters)
        except sql.NotUnderstood as error:
            raise Problem(400, f"Syntax error, {error}") from error
        within = self._scope(collection, request, query)
        self._check_indexes(collection, query)
        rows = [
            document
            for partition, held in list(collection.partitions.items())
            if within(partition)
            for document in held.values()
            if not collection.is_expired(document) and query.holds(document) is True
        ]
        if query.order:
            paths = [path for path, _ in query.order]
            rows = [row for row in rows if all(sql.at(row, path) is not UNDEFINED for path in paths)]
            for path, descending in reversed(query.order):
                rows.sort(key=lambda row: _rank(sql.at(row, path)), reverse=descending)
        rows = rows[: query.top]
        if query.star:
            return rows
        return [
            {path.rpartition("/")[2]: sql.at(row, path) for path in query.paths if sql.at(row, path) is not UNDEFINED}
            for row in rows
        ]

    def _scope(self, collection: Collection, request: web.Request, query: sql.Query) -> Callable[[str], bool]:
        headers = request.headers
        if "x-ms-documentdb-partitionkey" in headers:
            wanted = _partition(request)
            return lambda partition: partition == wanted
        range_id = headers.get("x-ms-documentdb-partitionkeyrangeid")
        if range_id is not None:
            here = collection.range_of(range_id.rpartition(",")[2])
            low = max(here.low, headers.get("x-ms-start-epk", here.low))
            high = min(here.high, headers.get("x-ms-end-epk", here.high))
            return lambda partition: low <= collection.epk(partition) < high
        if headers.get("x-ms-documentdb-query-enablecrosspartition", "").lower() != "true":
            raise Problem(400, "Cross partition query is required but disabled.")
        if len(collection.ranges) > 1 and (query.order or query.top is not None):
            raise Problem(400, "The provided cross partition query can not be directly served.", substatus=1004)
        return lambda _: True

    def _check_indexes(self, collection: Collection, query: sql.Query) -> None:
        for path in query.used:
            if path != "/id" and not collection.is_indexed(path):
                raise Problem(400, f"the double finds nothing by {path}, which is not indexed")
        paths = [path for path, _ in query.order]
        if len(paths) > 1 and (paths not in collection.composites or len({way for _, way in query.order}) > 1):
            raise Problem(400, "The order by query does not have a corresponding composite index.")
        if len(paths) == 1 and not collection.is_indexed(paths[0]):
            raise Problem(400, "The index path corresponding to the specified order-by item is excluded.")

    def _note(
        self,
        kind: str,
        partition: str | None,
        size: int,
        operations: Sequence[tuple[str, str, int]],
        charge: float,
        text: str = "",
    ) -> None:
        if self.is_recording:
            self.requests.append(Request(kind, partition, size, operations, charge, text))


def _is(kind: str | None) -> Callable[[str], bool]:
    return lambda seen: seen == kind or (kind is None and seen not in {"account", "other"})


def _first(waiting: list[Any], fits: Callable[[Any], bool]) -> Any:
    """Take out the first that fits, if any does."""
    for at, each in enumerate(waiting):
        if fits(each):
            return waiting.pop(at)
    return None


def _kind(request: web.Request, path: Sequence[str]) -> str:
    if not path:
        return "account"
    if len(path) < 5 or path[4] != "docs":
        return "other"
    if len(path) == 6:
        return {"GET": "read", "PUT": "replace", "DELETE": "delete"}.get(request.method, "other")
    if request.headers.get("x-ms-cosmos-is-batch-request", "").lower() == "true":
        return "batch"
    # Microsoft's library for Go says it in a shorter way
    is_query = {request.headers.get(f"x-ms-documentdb-{name}", "").lower() for name in ("isquery", "query")}
    return "query" if "true" in is_query else "create"


def _partition(request: web.Request) -> str:
    given = request.headers.get("x-ms-documentdb-partitionkey")
    if given is None:
        raise Problem(400, "PartitionKey value must be supplied for this operation.")
    (partition,) = json.loads(given)
    if not isinstance(partition, str):
        raise Problem(400, "the double knows partition keys of text only")
    return partition


def _kilobytes(document: Mapping[str, Any] | None) -> int:
    return 1 if document is None else max(1, -(-len(json.dumps(document)) // 1024))


def _charge(charge: float) -> dict[str, str]:
    return {"x-ms-request-charge": f"{charge:.2f}"}


def _etag(document: Mapping[str, Any], charge: float) -> dict[str, str]:
    return {"etag": document["_etag"], **_charge(charge)}


def _rank(value: Any) -> tuple[bool, Any]:
    return (isinstance(value, str), value)


@asynccontextmanager
async def running_double(*, ranges: int = 2) -> AsyncIterator[CosmosDouble]:
    """A double on a free port, for as long as the block lasts."""
    double = await CosmosDouble(ranges=ranges).start()
    try:
        yield double
    finally:
        await double.stop()


async def _serve(port: int) -> None:
    double = await CosmosDouble().start(port)
    print(double.endpoint, flush=True)  # noqa: T201
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run the double until it is killed; prints its endpoint.")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(_serve(parser.parse_args().port))
