"""Key files: made at first start, readable by their owner only."""

import os
import secrets
from pathlib import Path

from cludale.adapters.system.folders import sync_folder

KEY_BYTES = 32


class UnusableKey(Exception):
    """A key file holds no key."""


def kept_key(path: Path) -> str:
    """The key in `path`; made there (43 characters, 256 random bits) if there is none yet.

    The file appears whole or not at all, mode 0600 (its folder 0700, if there is none), and of two processes that
    make it at once both get the same key. Raises OSError, UnusableKey.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # unlike a rename it never replaces what another has put there
        except FileExistsError:
            return _read(path)
    finally:
        draft.unlink()
    sync_folder(path.parent)
    return _read(path)


def _read(path: Path) -> str:
    key = path.read_bytes().strip()
    if not key or not all(0x21 <= byte <= 0x7E for byte in key):
        raise UnusableKey(f"{path} holds no key (printable characters, no spaces); remove it to have a new one made")
    return key.decode()
