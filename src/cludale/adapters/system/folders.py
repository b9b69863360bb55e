"""Folders: that a name that was put into one is on the disk, and whether names in one have changed."""

import os
import time
from pathlib import Path

_SETTLED_NS = 1_000_000_000
"""A folder's time is as fine as a tick of the kernel: what changes twice within one has the same time twice."""


def sync_folder(folder: Path) -> None:
    """Wait until the names in it are on the disk, after one was made or changed. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FolderWatch:
    """Whether files came to a folder, went or were replaced, for the price of one stat. What is written into a file
    that is there already is not seen.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen_ns: int | None = None

    def may_have_changed(self) -> bool:
        """Since it was asked last; the first time, and for a second after each change, it says so in any case."""
        try:
            changed_ns = self._folder.stat().st_mtime_ns
        except OSError:
            self.look_again()
            return True
        if changed_ns == self._seen_ns:
            return False
        self._seen_ns = changed_ns if time.time_ns() - changed_ns > _SETTLED_NS else None
        return True

    def look_again(self) -> None:
        """What was found could not be read: say so again the next time."""
        self._seen_ns = None
