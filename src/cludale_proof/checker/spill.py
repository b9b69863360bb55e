"""Grouping more than fits in memory: things put in any order come out together by their key.

Past a limit they wait in a temporary file, in buckets by a hash of the key, and one bucket is read back at a time.
"""

import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self
from zlib import crc32

import msgspec

IN_MEMORY_LIMIT = 40_000
"""Things kept in memory before they are written out: some 60 MB of them."""
BUCKET_SIZE = 20_000
"""How many things a bucket should come to hold."""


class _Chunk(NamedTuple):
    offset: int
    size: int


class Spill:
    """Things by key. Use it as a context; `put` everything, then go through `groups` once."""

    def __init__(self, type_: Any, *, expected: int, in_memory_limit: int = IN_MEMORY_LIMIT) -> None:
        """`type_` is what is put: a struct, or a union of tagged ones. `expected` is about how many."""
        buckets = max(1, min(1024, expected // BUCKET_SIZE))
        self._buckets: list[list[tuple[str, Any]]] = [[] for _ in range(buckets)]
        self._chunks: list[list[_Chunk]] = [[] for _ in range(buckets)]
        self._limit = in_memory_limit
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(list[tuple[str, type_]])
        self._file: BinaryIO | None = None
        self._waiting = 0
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def put(self, key: str, thing: Any) -> None:
        """Add a thing to its group."""
        self._buckets[crc32(key.encode(errors="surrogatepass")) % len(self._buckets)].append((key, thing))
        self.count += 1
        self._waiting += 1
        if self._waiting >= self._limit:
            self._write_out()

    def _write_out(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="cludale-check-")  # noqa: SIM115 - closed by __exit__
        for number, bucket in enumerate(self._buckets):
            if bucket:
                chunk = self._encoder.encode(bucket)
                self._chunks[number].append(_Chunk(self._file.tell(), len(chunk)))
                self._file.write(chunk)
                bucket.clear()
        self._waiting = 0

    def groups(self) -> Iterator[tuple[str, list[Any]]]:
        """Each key with all that was put under it, in the order in which it was put."""
        for number, rest in enumerate(self._buckets):
            groups: dict[str, list[Any]] = {}
            for chunk in self._chunks[number]:
                assert self._file is not None  # noqa: S101 - where there are chunks there is a file
                self._file.seek(chunk.offset)
                for key, thing in self._decoder.decode(self._file.read(chunk.size)):
                    groups.setdefault(key, []).append(thing)
            for key, thing in rest:
                groups.setdefault(key, []).append(thing)
            yield from groups.items()
