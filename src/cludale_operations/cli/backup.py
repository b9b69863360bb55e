"""`cludale backup`: an encrypted copy of all that is kept, made while it runs, and the way back."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from cludale import __version__
from cludale.adapters.sqlite import StoreInUse
from cludale.wiring.settings import Settings
from cludale_operations.backup import archive, database, erasures, folder
from cludale_operations.backup.archive import BrokenArchive, Kind, Manifest, Tell, UnusableKey
from cludale_operations.backup.erasures import NotTheStoreBefore
from cludale_operations.backup.folder import CannotCopy
from cludale_operations.cli import offline
from cludale_operations.cli.client import Json
from cludale_operations.cli.screen import CANNOT, NO, fail, record, say
from cludale_operations.local.find import MissingProgram

_CHECK_SECONDS = 6 * 3_600

app = typer.Typer(no_args_is_help=True, help="Encrypted copies of all that is kept, made while it runs.")

File = Annotated[Path, typer.Argument(help="The backup's file.")]
KeyFile = Annotated[
    Path, typer.Option("--identity", help="The file with the secret key, which `cludale backup key` made.")
]
DataDir = Annotated[Path, typer.Option("--data-dir", "--data", envvar="CLUDALE_DATA_DIR", help="The data folder.")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database", envvar="CLUDALE_DATABASE_URL", show_envvar=False, help="The PostgreSQL database (postgresql://…)."
    ),
]


Erased = Annotated[
    list[Path] | None,
    typer.Option("--erased", help="A list that `cludale privacy erasures` wrote since; can be given several times."),
]
Former = Annotated[
    str | None,
    typer.Option(
        "--former", help="The store from before: its data folder, or its database (postgresql://…). It is only read."
    ),
]


@app.command()
def key(file: Annotated[Path, typer.Argument(help="Where the secret key goes: a new file.")]) -> None:
    """Make a key pair: the secret key reads backups, and its public half, the recipient, makes them.

    Keep the file away from the machine that makes the backups, and a copy of it: without it no backup can be read.
    """
    with _errors_in_a_line():
        say(archive.new_identity(file))


@app.command()
def create(
    file: File,
    recipients: Annotated[
        list[str],
        typer.Option("--recipient", help="Who can read it (age1…); give one for each."),
    ],
    *,
    data_dir: DataDir = Path("data"),
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Copy the data folder, or the database, beside servers that run; encrypt it, and read it back.

    It is as of one moment. The file has its name only once all of it was read back and is on the disk.
    """
    with _errors_in_a_line(), _progress() as tell:
        readers = [archive.recipient(each) for each in recipients]
        if file.exists():
            fail(f"{file} is there already; name a new file")
        with tempfile.TemporaryDirectory(prefix=".cludale-backup-", dir=file.parent) as place:
            work = Path(place)
            if database_url is None:
                kind, files = Kind.FOLDER, folder.copy_folder(data_dir, work, tell)
            else:
                dumped = database.dump(database_url, work, tell)
                kind, files = Kind.DATABASE, [dumped, *folder.copy_keys(data_dir, work)]
            made = archive.write(files, kind, file, readers, release=__version__, tell=tell)
    _show(file, made, json=json)


@app.command()
def show(file: File, identity: KeyFile, *, json: Json = False) -> None:
    """Show what a backup says of itself: when it was made, of what, and what is in it."""
    with _errors_in_a_line():
        made = archive.manifest_of(file, archive.read_identity(identity))
    _show(file, made, json=json)


@app.command()
def check(file: File, identity: KeyFile, *, json: Json = False) -> None:
    """Read all of a backup, and hold each file in it against its digest. Nothing is restored.

    Exit status: 0 it is whole, 1 it is not, 2 it could not be read.
    """
    with _errors_in_a_line(), _progress() as tell:
        made = archive.read(file, archive.read_identity(identity), tell=tell)
    _show(file, made, json=json)


@app.command()
def restore(
    file: File,
    identity: KeyFile,
    *,
    into: Annotated[
        Path | None, typer.Option(help="The new data folder; of a backup of a database, where its keys go.")
    ] = None,
    database_url: DatabaseUrl = None,
    erased: Erased = None,
    former: Former = None,
    json: Json = False,
) -> None:
    """Bring a backup back, into a new data folder or an empty database, and check it.

    Nothing that is there is written over. Buyers who were erased since the backup was made are erased again, as
    --erased or --former says; without either, the data folder in use is looked at (CLUDALE_DATA_DIR), if this is a
    backup of it. Otherwise no server starts over it before `cludale backup settle`. Exit status: 0 it is back and
    holds, 1 it is back and something does not hold, or the file is broken, 2 it could not be done.
    """
    with _errors_in_a_line(), _progress() as tell:
        secret = archive.read_identity(identity)
        is_database = archive.manifest_of(file, secret).kind is Kind.DATABASE
        url = database_url if is_database else None
        target = into or Path("restored")
        folder.assert_free(target)
        if is_database and database_url is None:
            fail("it is a backup of a database: name an empty one with --database or CLUDALE_DATABASE_URL")
        if url is not None:
            database.assert_empty(url)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".cludale-restore-", dir=target.parent) as place:
            work = Path(place)
            made = archive.read(file, secret, into=work, tell=tell)
            if url is not None:
                database.restore(work / database.DUMP, url, tell)
            kept = [work / each.name for each in made.members if url is None or each.name != database.DUMP]
            folder.move_into(kept, target)
        back: Path | str = url or target
        settled = _settled_after_restore(back, target, erased, former, tell)
        with ThreadPoolExecutor(1) as beside:  # another process: both cores work
            checking = beside.submit(_checked, back)
            chain = offline.verify(back, lambda done, total: tell("verifying the log", done, total or 0))
            tell("checking every promise", 0, 0)
            checked, holds = checking.result()
    record(
        {
            "file": str(file),
            "madeAt": made.made_at.isoformat(),
            "restoredTo": str(target) if url is None else "the database",
            "keys": str(target),
            "log": "whole" if chain["ok"] else "broken",
            "events": chain["events"],
            "erasures": settled,
            "check": checked,
        },
        as_json=json,
    )
    if not (chain["ok"] and holds):
        raise typer.Exit(NO)


@app.command()
def settle(
    *,
    into: Annotated[Path, typer.Option("--data", "--into", help="The restored data folder.")] = Path("restored"),
    database_url: DatabaseUrl = None,
    erased: Erased = None,
    former: Former = None,
    json: Json = False,
) -> None:
    """Erase again, in a restored store, the buyers who were erased since its backup was made. A server then starts.

    Say who they are: --erased FILE, as `cludale privacy erasures` wrote it (an empty file says: nobody), or --former,
    the store from before. Give both where the one may lack some. No server may run over it.
    """
    back: Path | str = database_url or into
    if not erased and former is None:
        fail("say who was erased since: --erased FILE, or --former with the store from before")
    with _errors_in_a_line(), _progress() as tell:
        done = _erased_again(back, into, erased or [], former, tell)
    record({"of": str(into) if database_url is None else "the database", "erasures": done}, as_json=json)


def _settled_after_restore(
    back: Path | str, folder: Path, erased: list[Path] | None, former: str | None, tell: Tell
) -> str:
    """What became of the erasures since the backup."""
    if not asyncio.run(erasures.owe(back)):
        return "nobody's data is in it"
    if erased or former is not None:
        return _erased_again(back, folder, erased or [], former, tell)
    near = erasures.is_there([Path(os.environ.get("CLUDALE_DATA_DIR") or "data")])
    if near is not None and isinstance(back, Path):
        with suppress(NotTheStoreBefore):
            return _erased_again(back, folder, [], str(near), tell)
    return "owed: say who was erased since with `cludale backup settle`; no server starts before"


def _erased_again(back: Path | str, folder: Path, lists: list[Path], former: str | None, tell: Tell) -> str:
    ids = erasures.listed(lists)
    if former is not None:
        before = former if "://" in former else Path(former)
        ids = list(dict.fromkeys([*ids, *asyncio.run(erasures.erased_in(before, back, tell))]))
    settings = msgspec.structs.replace(Settings.from_env(os.environ), data_dir=folder)
    done = asyncio.run(erasures.settle(back, ids, settings, tell))
    return f"{done.erased} buyers erased again; {done.asked} orders were named"


def _checked(place: Path | str) -> tuple[str, bool]:
    """What `cludale check` says of it, and whether all holds. What it can't judge is said, and is no failure."""
    where = {"CLUDALE_DATA_DIR": str(place)} if isinstance(place, Path) else {"CLUDALE_DATABASE_URL": place}
    others = {name: value for name, value in os.environ.items() if name != "CLUDALE_DATABASE_URL"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "cludale_operations", "check"],
            env={**others, **where},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_CHECK_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not done: no end in {_CHECK_SECONDS} s", True
    if done.returncode == CANNOT:
        return f"not done: {done.stderr.strip().removeprefix('cludale: ')}", True
    holds = done.returncode == 0
    return ("every promise holds" if holds else "not every promise holds: `cludale check` says which"), holds


def _show(file: Path, made: Manifest, *, json: bool) -> None:
    record(
        {
            "file": str(file),
            "of": "a data folder" if made.kind is Kind.FOLDER else "a database",
            "madeAt": made.made_at.isoformat(),
            "release": made.release,
            "bytes": made.size,
            "encryptedBytes": file.stat().st_size,
            "holds": [each.name for each in made.members],
        },
        as_json=json,
    )


@contextmanager
def _errors_in_a_line() -> Iterator[None]:
    """Errors in one line."""
    try:
        yield
    except BrokenArchive as error:
        fail(str(error), NO)
    except (CannotCopy, UnusableKey, MissingProgram, StoreInUse) as error:
        fail(str(error))
    except FileExistsError as error:
        fail(f"{error.filename} is there already; name a new file")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


@contextmanager
def _progress() -> Iterator[Tell]:
    with Progress(
        TextColumn("{task.description:<30}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task("opening", total=None)

        def tell(stage: str, done: int, total: int) -> None:
            progress.update(task, description=stage, completed=done, total=total or None)

        yield tell
