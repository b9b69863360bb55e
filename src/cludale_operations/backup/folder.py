"""What a data folder puts into a backup: the store and the simulated provider's ledger, each at one instant, and keys.

The store is copied before the ledger: a charge that the store does not know yet is found when it is asked again under
the same key, but money that the ledger lacks is found by nobody.
"""

import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import apsw

from cludale.wiring.stores import LEDGER, STORE
from cludale_operations.backup.archive import Tell

_PAGES = 4_096
"""Copied at once, between two looks at how far it is: 16 MiB."""
_BUSY_MILLISECONDS = 10_000


class CannotCopy(Exception):
    """There is nothing to copy, or no place to restore to; the message says why."""


def copy_folder(data: Path, into: Path, tell: Tell) -> list[Path]:
    """Copy what a data folder keeps into another folder, beside a server that runs. The files, in their order.

    Raises CannotCopy, OSError.
    """
    if not (data / STORE).is_file():
        raise CannotCopy(f"there is no store in {data}: name the data folder with --data or CLUDALE_DATA_DIR")
    copied = [_copy_database(data / name, into / name, tell) for name in (STORE, LEDGER) if (data / name).is_file()]
    return [*copied, *copy_keys(data, into)]


def copy_keys(data: Path, into: Path) -> list[Path]:
    """The keys of a data folder: without the token key no buyer's token is good, and no kept answer can be read."""
    return [Path(shutil.copy2(key, into / key.name)) for key in sorted(data.glob("*.key"))]


def _copy_database(source: Path, target: Path, tell: Tell) -> Path:
    """Copy the database as it is at one instant: it is read in one transaction, which no writer beside it disturbs."""
    read = apsw.SQLITE_OPEN_READONLY
    try:
        # apsw's own context is a transaction, and there is one already
        with closing(apsw.Connection(str(source), flags=read)) as there, closing(apsw.Connection(str(target))) as here:
            there.set_busy_timeout(_BUSY_MILLISECONDS)
            there.execute("BEGIN").execute("SELECT count(*) FROM sqlite_schema").fetchall()
            size = there.pragma("page_size")
            with here.backup("main", there, "main") as copying:
                while not copying.done:
                    copying.step(_PAGES)
                    done = copying.page_count - copying.remaining
                    tell(f"copying {source.name}", done * size, copying.page_count * size)
            there.execute("COMMIT")
            here.pragma("journal_mode", "delete")  # so that the copy is one file
        assert_sound(target)
    except apsw.Error as error:
        raise CannotCopy(f"{source}: {error}") from error
    return target


def assert_sound(database: Path) -> None:
    """SQLite finds its pages whole. Raises CannotCopy."""
    try:
        with closing(apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)) as opened:
            said = opened.execute("PRAGMA quick_check(1)").fetchall()
    except apsw.Error as error:
        raise CannotCopy(f"{database}: {error}") from error
    if said != [("ok",)]:
        raise CannotCopy(f"{database} is damaged: {said[0][0]}")


def assert_free(folder: Path) -> None:
    """Nothing is there that a restore would write over. Raises CannotCopy."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CannotCopy(f"{folder} is not empty: name a new folder with --into")


def move_into(files: Sequence[Path], folder: Path) -> None:
    """Put restored files in their place."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in files:
        file.rename(folder / file.name)
