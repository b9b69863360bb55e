"""How a rehearsal looks on a terminal. What it says comes from `plan` and `checks`; nothing is decided here."""

from time import perf_counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from cludale_proof.rehearsal.load import Tally
from cludale_proof.rehearsal.plan import Evening, Plan, RehearsalOutcome


class Screen:
    """Progress bars while a rehearsal goes on: a reporter."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[details]}"),
            console=console,
            refresh_per_second=5,
        )
        self._buyers: TaskID | None = None
        self._orders: TaskID | None = None
        self._events: TaskID | None = None
        self._codes: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def opened(self, concert_id: str, plan: Plan) -> None:
        """Says what begins."""
        come = f"{plan.rate:g} a second" if plan.rate is not None else "as fast as they are served"
        self._console.print(
            f"On sale: [bold]{concert_id}[/] at {plan.url}. {plan.buyers} buyers, {come}, {plan.connections} at once, "
            f"each order {'with' if plan.with_keys else 'without'} an Idempotency-Key."
        )
        self._buyers = self._progress.add_task("buyers", total=plan.buyers, details="")

    def selling(self, tally: Tally, refused: int, accepted: int) -> None:
        """Moves the bar of the buyers."""
        done = tally.answered + tally.failed
        others = done - accepted - refused
        rate = done / max(perf_counter() - tally.began, 1e-9)
        colour = "red" if others else "dim"
        details = f"[green]{accepted} accepted[/]  {refused} refused  [{colour}]{others} errors[/]  {rate:.0f}/s"
        self._buyers = self._move(self._buyers, "buyers", done, None, details)

    def settling(self, settled: int, accepted: int) -> None:
        """Moves the bar of the orders."""
        self._orders = self._move(self._orders, "orders", settled, accepted, "paid or cancelled")

    def auditing(self, events_read: int) -> None:
        """Moves the bar of the events."""
        self._events = self._move(self._events, "events", events_read, events_read, "read from the audit")

    def letting_in(self, shown: int, showings: int) -> None:
        """Moves the bar of the evening."""
        self._codes = self._move(self._codes, "codes", shown, showings, "shown at the doors")

    def _move(self, task: TaskID | None, name: str, done: int, total: int | None, details: str) -> TaskID:
        if task is None:
            task = self._progress.add_task(name, total=total, details=details)
        self._progress.update(task, completed=done, details=details)
        if total is not None:
            self._progress.update(task, total=total)
        return task


def show(outcome: RehearsalOutcome, console: Console) -> None:
    """The summary and the checks, as tables."""
    summary = Table(title="The on-sale", title_justify="left", show_header=False)
    summary.add_column(style="dim")
    summary.add_column(justify="right")
    for name, value in _summary(outcome):
        summary.add_row(name, value)
    found = Table(title="What must hold", title_justify="left", show_header=False)
    for check in outcome.checks:
        found.add_row("[green]yes[/]" if check.ok else "[bold red]NO[/]", check.name, check.found)
    console.print(summary)
    if outcome.evening is not None:
        console.print(_evening(outcome.evening))
    console.print(found)
    console.print("[bold green]All of it holds.[/]" if outcome.ok else "[bold red]Not all of it holds.[/]")


def _evening(evening: Evening) -> Table:
    """The doors, as a table."""
    table = Table(title="At the doors", title_justify="left", show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_row("codes shown", str(evening.showings))
    for said, count in evening.said.items():
        table.add_row(f"  {said}", str(count))
    table.add_row("errors", str(sum(evening.errors.values())))
    table.add_row("throughput", f"{evening.answers_per_second:.0f} answers/s over {evening.seconds:.2f} s")
    table.add_row("p50", _milliseconds(evening.latency.p50_ms))
    table.add_row("p99", _milliseconds(evening.latency.p99_ms))
    return table


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def _summary(outcome: RehearsalOutcome) -> list[tuple[str, str]]:
    settled = outcome.settled_seconds
    return [
        ("buyers", str(outcome.buyers)),
        ("seats sold", str(outcome.seats_sold)),
        ("orders accepted", str(outcome.accepted)),
        ("with an Idempotency-Key", "yes" if outcome.with_keys else "no"),
        *((f"refused, {name}", str(count)) for name, count in outcome.refused.items()),
        ("asked to come back", str(outcome.turned_away)),
        ("errors", str(sum(outcome.errors.values()))),
        *((f"  {name}", str(count)) for name, count in outcome.errors.items()),
        *((f"orders {status}", str(count)) for status, count in sorted(outcome.orders.items())),
        ("throughput", f"{outcome.answers_per_second:.0f} answers/s over {outcome.seconds:.2f} s"),
        ("all orders settled", "no" if settled is None else f"after {settled:.2f} s"),
        ("p50", _milliseconds(outcome.latency.p50_ms)),
        ("p95", _milliseconds(outcome.latency.p95_ms)),
        ("p99", _milliseconds(outcome.latency.p99_ms)),
        ("slowest", _milliseconds(outcome.latency.largest_ms)),
        ("CPU of the buyers", f"{outcome.load_cpu_ms_per_buyer:.3f} ms each"),
    ]
