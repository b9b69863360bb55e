"""A disk that fails on demand: an apsw VFS over the real one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import apsw

Fault = Callable[[], Exception | None]
"""What is to be raised; None, perhaps after a while, lets the operation pass."""


class FaultyDisk(apsw.VFS):
    """Raises what `on_write` and `on_sync` say for files whose names end in their keys (`.db`, `-wal`)."""

    def __init__(self, name: str) -> None:
        self.vfs_name = name
        self.on_write: dict[str, Fault] = {}
        self.on_sync: dict[str, Fault] = {}
        self.failed = 0
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "FaultyFile":  # noqa: N802 - apsw's name
        return FaultyFile(self, name, flags)


class FaultyFile(apsw.VFSFile):
    """A file of that disk."""

    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        super().__init__("", name, flags)

    def _fail(self, faults: dict[str, Fault]) -> None:
        for ending, fault in tuple(faults.items()):
            if self._path.endswith(ending) and (error := fault()) is not None:
                self._disk.failed += 1
                raise error

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name
        self._fail(self._disk.on_write)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        self._fail(self._disk.on_sync)
        super().xSync(flags)


@contextmanager
def faulty_disk(name: str) -> Iterator[FaultyDisk]:
    """A disk, known to SQLite by `name`."""
    disk = FaultyDisk(name)
    yield disk
    disk.unregister()


def full() -> Exception:
    """No room."""
    return apsw.FullError("the disk is full")


def broken() -> Exception:
    """Input/output error."""
    return apsw.IOError("the disk is broken")
