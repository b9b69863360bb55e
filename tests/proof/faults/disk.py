"""A disk under SQLite that keeps back what was not synced, and loses some of it when the power is cut.

Reads and writes go through to the real files; beside that it keeps what a disk would hold for certain (synced) and
what it was only asked to hold (pending, in order). A cut gives the files as the next start could find them: what is
certain, and of what was pending nothing, or a random half, some of it torn in the middle. A new file is there once
any of it is; that one is gone is certain with the next sync of any file, as in a journaling file system.
"""

import threading
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import NamedTuple

import apsw

SECTOR_BYTES = 512

REAL = apsw.vfs_names()[0]
"""SQLite's own VFS, by name: when another has become the default, an empty name means that one."""

_KEPT = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL


class Loss(StrEnum):
    """What a cut takes of the writes that no sync has made certain."""

    ALL = "all"
    HALF = "a random half"


class _Write(NamedTuple):
    """Bytes at an offset."""

    offset: int
    data: bytes


class _Truncate(NamedTuple):
    """The file's new size."""

    size: int


class _Delete(NamedTuple):
    """The file is gone."""


_Change = _Write | _Truncate | _Delete


class _Held:
    """What the disk has of one file; `certain` is None where there is none."""

    def __init__(self, certain: bytes | None) -> None:
        self.certain = certain if certain is None else bytearray(certain)
        self.pending: list[_Change] = []

    def sync(self) -> None:
        for each in self.pending:
            self.certain = _applied(self.certain, each)
        self.pending.clear()

    def sync_deletion(self) -> None:
        while any(isinstance(each, _Delete) for each in self.pending):
            self.certain = _applied(self.certain, self.pending.pop(0))


class Image(NamedTuple):
    """The disk after a cut: each file's bytes by name, and how many pending writes were lost and torn."""

    files: Mapping[str, bytes]
    lost: int
    torn: int

    def write(self, folder: Path) -> None:
        """Put the files where a store can be opened on them."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (folder / name).write_bytes(data)


class Disk(apsw.VFS):
    """A VFS named `name` over SQLite's own, for files whose names begin with `only`.

    `heeds_sync` false makes it a disk that says it has synced and hasn't.

    `on_operation` is told after every write, truncation, deletion and sync, from the thread that did it; `cut` may
    be called there and then. Close what uses it before `unregister`.
    """

    def __init__(self, name: str, *, default: bool = False, only: str = "", heeds_sync: bool = True) -> None:
        super().__init__(name, base=REAL, makedefault=default)
        self.on_operation: Callable[[], None] = lambda: None
        self.operations = 0
        self.syncs = 0
        self._only = only
        self._heeds_sync = heeds_sync
        self._files: dict[str, _Held] = {}
        self._lock = threading.RLock()

    def xOpen(self, name: "str | apsw.URIFilename | None", flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        """Open a file; those of a store are watched over."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None or not flags[0] & _KEPT or not Path(path).name.startswith(self._only):
            return apsw.VFSFile(REAL, name, flags)
        real = Path(path)
        with self._lock:
            if path not in self._files:
                # What was there before the power came on is certain.
                self._files[path] = _Held(real.read_bytes() if real.exists() else None)
        return _File(self, path, name, flags)

    def xDelete(self, name: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's name and its flag
        """Delete a file."""
        super().xDelete(name, syncdir)
        self.did(name, _Delete())

    def did(self, path: str, what: _Change) -> None:
        """Something was written, and is pending."""
        with self._lock:
            if path not in self._files:
                return
            self._files[path].pending.append(what)
            self._operated()

    def synced(self, path: str) -> None:
        """All that is pending for a file becomes certain, unless this disk lies."""
        with self._lock:
            if self._heeds_sync:
                self._files[path].sync()
                for held in self._files.values():
                    held.sync_deletion()
            self.syncs += 1
            self._operated()

    def cut(self, loss: Loss, random: Random) -> Image:
        """The files as they are found when the power is back. What runs on goes on, in a world without this cut."""
        with self._lock:
            lost = torn = 0
            files = {}
            for path, held in self._files.items():
                content = None if held.certain is None else bytearray(held.certain)
                for each in held.pending:
                    if loss is Loss.ALL or random.random() < 0.5:
                        lost += 1
                        continue
                    kept = _maybe_torn(each, random)
                    torn += kept is not each
                    content = _applied(content, kept)
                if content is not None:
                    files[Path(path).name] = bytes(content)
            return Image(files, lost, torn)

    def _operated(self) -> None:
        self.operations += 1
        self.on_operation()


class _File(apsw.VFSFile):
    """A file of a store."""

    def __init__(self, disk: Disk, path: str, name: "str | apsw.URIFilename | None", flags: list[int]) -> None:
        super().__init__(REAL, name, flags)
        self._disk = disk
        self._path = path

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        super().xWrite(data, offset)
        self._disk.did(self._path, _Write(offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name
        super().xTruncate(newsize)
        self._disk.did(self._path, _Truncate(newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        # The real sync is left out: this machine keeps its power, and its disk need not wait.
        self._disk.synced(self._path)


def _applied(content: bytearray | None, change: _Change) -> bytearray | None:
    if isinstance(change, _Delete):
        return None
    content = bytearray() if content is None else content
    if isinstance(change, _Truncate):
        del content[change.size :]
        content.extend(bytes(change.size - len(content)))
        return content
    end = change.offset + len(change.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[change.offset : end] = change.data
    return content


def _maybe_torn(change: _Change, random: Random) -> _Change:
    """One write in four reaches the disk only up to a sector's end."""
    if not isinstance(change, _Write) or len(change.data) <= SECTOR_BYTES or random.random() < 0.75:
        return change
    sectors = random.randrange(1, -(-len(change.data) // SECTOR_BYTES))
    return change._replace(data=change.data[: sectors * SECTOR_BYTES])
