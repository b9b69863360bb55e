"""Key files: made at first start, readable by their owner only."""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cludale.adapters.system.folders import sync_folder

KEY_BYTES = 32


class UnusableKey(Exception):
    """A key file holds no key."""


class KeyPair(NamedTuple):
    """A key that is used, and one that is taken, too, while it is changed (docs/run/secrets.md)."""

    key: str
    too: str | None = None


def new_key() -> str:
    """43 characters, 256 random bits."""
    return secrets.token_urlsafe(KEY_BYTES)


def kept_key(path: Path, make: Callable[[], str] = new_key) -> str:
    """The key in `path`; made there if there is none yet.

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
            file.write(make() + "\n")
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


def kept_pair(folder: Path, name: str) -> KeyPair:
    """The key `<name>.key` in a folder, made if there is none, and beside it the next or else the former one.

    Raises OSError, UnusableKey.
    """
    key = kept_key(folder / f"{name}.key")
    for other in ("next", "former"):
        with suppress(FileNotFoundError):
            found = _read(folder / f"{name}-{other}.key")
            if found != key:  # what a change that was cut off has left
                return KeyPair(key, found)
    return KeyPair(key)


def put_key(path: Path, key: str) -> None:
    """Write a key in the place of whatever is there; whoever reads it meanwhile gets the one or the other."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def _read(path: Path) -> str:
    key = path.read_bytes().strip()
    if not key or not all(0x21 <= byte <= 0x7E for byte in key):
        raise UnusableKey(f"{path} holds no key (printable characters, no spaces); remove it to have a new one made")
    return key.decode()
