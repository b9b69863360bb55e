"""`cludale backup`: an encrypted copy of all that is kept, made while it runs, and the way back."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

from cludale import __version__
from cludale_operations.backup import archive, database, folder
from cludale_operations.backup.archive import BrokenArchive, Kind, Manifest, Tell, UnusableKey
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


@app.command()
def key(file: Annotated[Path, typer.Argument(help="Where the secret key goes: a new file.")]) -> None:
    """Make a key pair: the secret key reads backups, and its public half, the recipient, makes them.

    Keep the file away from the machine that makes the backups, and a copy of it: without it no backup can be read.
    """
    with _said():
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
    with _said(), _progress() as tell:
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
    with _said():
        made = archive.manifest_of(file, archive.read_identity(identity))
    _show(file, made, json=json)


@app.command()
def check(file: File, identity: KeyFile, *, json: Json = False) -> None:
    """Read all of a backup, and hold each file in it against its digest. Nothing is restored.

    Exit status: 0 it is whole, 1 it is not, 2 it could not be read.
    """
    with _said(), _progress() as tell:
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
    json: Json = False,
) -> None:
    """Bring a backup back, into a new data folder or an empty database, and check it.

    Nothing that is there is written over. Exit status: 0 it is back and holds, 1 it is back and something does not
    hold, or the file is broken, 2 it could not be done.
    """
    with _said(), _progress() as tell:
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
        chain = offline.verify(back, lambda done, total: tell("verifying the log", done, total or 0))
    checked, holds = _checked(back)
    record(
        {
            "file": str(file),
            "madeAt": made.made_at.isoformat(),
            "restoredTo": str(target) if url is None else "the database",
            "keys": str(target),
            "log": "whole" if chain["ok"] else "broken",
            "events": chain["events"],
            "check": checked,
        },
        as_json=json,
    )
    if not (chain["ok"] and holds):
        raise typer.Exit(NO)


def _checked(place: Path | str) -> tuple[str, bool]:
    """What `cludale check` says of it, and whether all holds. What it can't judge is said, and is no failure."""
    where = {"CLUDALE_DATA_DIR": str(place)} if isinstance(place, Path) else {"CLUDALE_DATABASE_URL": place}
    others = {name: value for name, value in os.environ.items() if name != "CLUDALE_DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "cludale_operations", "check"],
        env={**others, **where},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_CHECK_SECONDS,
        check=False,
    )
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
def _said() -> Iterator[None]:
    """Errors in one line."""
    try:
        yield
    except BrokenArchive as error:
        fail(str(error), NO)
    except (CannotCopy, UnusableKey, MissingProgram) as error:
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
