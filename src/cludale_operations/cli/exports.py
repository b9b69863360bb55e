"""A folder of files with the audit log's lines, each written once and never again: fit for storage that is immutable.

`entries-000000000001-000000250000.jsonl.gz` has the entries 1 to 250,000. The last line of a file says where the next
one goes on; so an export can be taken up with the last file alone, wherever the others are by then.
"""

import gzip
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from cludale.ports.records import Records, StoreUnavailable
from cludale.services.audit import export
from cludale.services.audit.domain import GENESIS, Broken, Head, Noted, noted_head
from cludale.services.audit.export import ExportedEntry, Reached
from cludale.services.audit.service import Verdict

FILE_ENTRIES = 250_000
"""About 40 MB, compressed."""
_CHUNK = 1_000
_NAME = re.compile(r"entries-(\d{12})-(\d{12})\.jsonl\.gz")
_END = b'{"end":'


class NotAnExport(Exception):
    """The folder has files that don't belong together, or one that can't be read; the message says which."""


class _End(msgspec.Struct, frozen=True):
    """A file's last line."""

    end: Reached


class _File(NamedTuple):
    first: int
    last: int
    path: Path


_ends = msgspec.json.Decoder(_End)


async def export_to(folder: Path, records: Records, *, entries_a_file: int = FILE_ENTRIES) -> tuple[int, Reached]:
    """Write what the log has more than the folder, as new files. Returns how many files, and how far it came.

    Raises ChainBroken where the log is not whole and StoreUnavailable, after what was read before that is written;
    NotAnExport; OSError.
    """
    reached = _begin(folder)
    written = 0
    file: _Writing | None = None
    try:
        async for lines, page_end in export.read_on(records, reached):
            reached = page_end
            file = file or _Writing(folder, lines[0].sequence)
            file.add(lines)
            if file.entries >= entries_a_file:
                file.finish(reached)
                written, file = written + 1, None
    except (export.ChainBroken, StoreUnavailable):
        if file is not None:
            file.finish(reached)
        raise
    if file is not None:
        file.finish(reached)
        written += 1
    return written, reached


def _begin(folder: Path) -> Reached:
    """Where an export into this folder goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    files = _files(folder)
    return _end_of(files[-1].path) if files else Reached()


class _Writing:
    """A file that is being written; it has its name once it is whole and on the disk."""

    def __init__(self, folder: Path, first: int) -> None:
        self.entries = 0
        self._folder = folder
        self._first = first
        self._path = folder / f"entries-{first:012}.unfinished"
        self._raw = self._path.open("wb")
        self._packed = gzip.GzipFile(fileobj=self._raw, mode="wb", mtime=0, filename="")

    def add(self, lines: Sequence[ExportedEntry]) -> None:
        """Write these."""
        for line in lines:
            self._packed.write(export.encode(line) + b"\n")
        self.entries += len(lines)

    def finish(self, end: Reached) -> None:
        """Write the end, and name the file."""
        self._packed.write(export.encode(_End(end)) + b"\n")
        self._packed.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()
        self._path.replace(self._folder / f"entries-{self._first:012}-{end.sequence:012}.jsonl.gz")


def _files(folder: Path) -> list[_File]:
    """The export's files, in order. Raises NotAnExport if two have the same entries or some are missing between."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        named = _NAME.fullmatch(path.name)
        if named is not None:
            found.append(_File(int(named[1]), int(named[2]), path))
    found.sort()
    for one, after in pairwise(found):
        if after.first != one.last + 1:
            raise NotAnExport(f"after {one.path.name} comes {after.path.name}: entries are missing between, or double")
    return found


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") as lines:
            for line in lines:
                yield line.rstrip(b"\n")
    except (OSError, EOFError) as error:
        raise NotAnExport(f"{path.name}: {error}") from error


def _end_of(path: Path) -> Reached:
    try:
        return _ends.decode(deque(_lines(path), maxlen=1)[0]).end
    except IndexError as error:
        raise NotAnExport(f"{path.name} is empty") from error
    except msgspec.MsgspecError as error:
        raise NotAnExport(f"{path.name} has no end: {error}") from error


def verify(folder: Path, *, noted: str | None = None) -> Verdict:
    """Follow the chain through the files, from entry 1. Raises NotAnExport; Invalid for what can't be a head."""
    sought = None if noted is None else noted_head(noted)
    at = 0 if sought == GENESIS else None
    head, broken, late = Head(), None, 0
    files = _files(folder)
    if not files:
        raise NotAnExport(f"there is no export in {folder}")
    for file in files:
        lines = (line for line in _lines(file.path) if not line.startswith(_END))
        while broken is None and (chunk := list(islice(lines, _CHUNK))):
            head, broken, good = export.follow_lines(head, chunk)
            late += sum(each.late for each in good)
            if sought is not None:
                at = next((each.sequence for each in good if each.hash == sought), at)
        if broken is None and head.sequence != file.last:
            broken = Broken(head.sequence + 1, f"{file.path.name} says that it has the entries up to {file.last}")
        if broken is not None:
            break
    return Verdict(
        ok=broken is None and (sought is None or at is not None),
        events=head.sequence,
        head=head.hash,
        broken=broken,
        late=late,
        noted=None if sought is None else Noted(sought, at),
    )
