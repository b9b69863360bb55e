"""Folders: that a name that was put into one is on the disk."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Wait until the names in it are on the disk, after one was made or changed. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
