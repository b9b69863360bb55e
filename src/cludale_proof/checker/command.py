"""`cludale check`: the checker over a data folder or a database, beside running services or without them."""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cludale_proof.checker.data_folder import DataFolder, Unopenable
from cludale_proof.checker.documents import Unreadable
from cludale_proof.checker.findings import Report
from cludale_proof.checker.observations import Observation, observation
from cludale_proof.checker.rendering import as_json, show
from cludale_proof.checker.whole import check as check_snapshot

if TYPE_CHECKING:
    from cludale_proof.checker.database import Database

HOLDS, BROKEN, UNCHECKABLE = 0, 1, 2
_PIPED_COLUMNS = 160


class _Unusable(Exception):
    """What was asked can't be checked; the message says why."""


def check(
    *,
    # Sharing nothing with what it checks, it doesn't know the settings either: so the variable is named here again.
    data_dir: Annotated[
        Path, typer.Option("--data-dir", "--data", envvar="CLUDALE_DATA_DIR", help="The data folder.")
    ] = Path("data"),
    database: Annotated[
        str | None,
        typer.Option(
            envvar="CLUDALE_DATABASE_URL",
            show_envvar=False,
            help="Check the stores in this PostgreSQL database (postgresql://…) in place of a folder's; "
            "CLUDALE_DATABASE_URL may name it too.",
        ),
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Check this store file in place of the folder's.")] = None,
    ledger: Annotated[Path | None, typer.Option(help="Read this provider's ledger in place of the folder's.")] = None,
    observations: Annotated[
        Path | None, typer.Option(help="What clients saw, one JSON object a line: answers are held against the stores.")
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Nothing is under way any more: everything must have come to its end.")
    ] = False,
    at: Annotated[
        str | None, typer.Option(help="The instant to check for: 2027-06-05T19:30:00Z. Default: now.")
    ] = None,
    skew: Annotated[float, typer.Option(min=0, help="By how many seconds the clocks of machines may differ.")] = 1.0,
    grace: Annotated[
        float, typer.Option(min=0, help="With --quiet: for how many seconds past its time a hold may stand.")
    ] = 5.0,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many violations to describe at most.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check every promise against the stores and the log, from outside and with code of its own.

    Works beside a running server. Says which invariant broke, for which order, with the events that show it.
    Exit status: 0 everything holds, 1 something is broken, 2 it could not be checked.
    """
    out = Console() if sys.stdout.isatty() else Console(width=_PIPED_COLUMNS)
    try:
        report = _check(
            lambda: _opened(data_dir, database=database, store=store, ledger=ledger, quiet=quiet),
            observations=observations,
            quiet=quiet,
            now=None if at is None else _moment(at),
            skew=timedelta(seconds=skew),
            grace=timedelta(seconds=grace),
            limit=limit,
        )
    except (_Unusable, Unopenable, Unreadable, OSError) as error:
        Console(stderr=True).print(f"[bold red]cludale:[/] it could not be checked: {error}", soft_wrap=True)
        raise typer.Exit(UNCHECKABLE) from error
    if json:
        typer.echo(as_json(report))
    else:
        show(report, out)
    if not report.ok:
        raise typer.Exit(BROKEN)


def _opened(
    data_dir: Path, *, database: str | None, store: Path | None, ledger: Path | None, quiet: bool
) -> "DataFolder | Database":
    if database is None or store is not None:
        return DataFolder(data_dir, store=store, ledger=ledger)
    try:
        from cludale_proof.checker.database import Database  # noqa: PLC0415 - only this needs asyncpg, which is an extra
    except ModuleNotFoundError as missing:
        raise _Unusable(f"a database needs the package {missing.name}: pip install 'cludale[distributed]'") from missing
    return Database(database, quiet=quiet)


def _check(
    opened: Callable[[], "DataFolder | Database"],
    *,
    observations: Path | None,
    quiet: bool,
    now: datetime | None,
    skew: timedelta,
    grace: timedelta,
    limit: int,
) -> Report:
    with (
        opened() as snapshot,
        Progress(
            TextColumn("{task.description:<20}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        ) as progress,
    ):
        task = progress.add_task("opening", total=None)

        def tell(stage: str, done: int, total: int) -> None:
            progress.update(task, description=stage, completed=done, total=total)

        return check_snapshot(
            snapshot,
            now=now,
            quiet=quiet,
            skew=skew,
            grace=grace,
            observations=() if observations is None else _lines(observations),
            progress=tell,
            limit=limit,
        )


def _lines(path: Path) -> Iterator[Observation]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield observation(line)
                except Unreadable as error:
                    raise _Unusable(f"{path}, line {number}: {error}") from error


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Unusable(f"{text!r} is no time") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
