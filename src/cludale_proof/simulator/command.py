"""The command line of the simulator."""

import json
import shlex
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from random import Random
from shutil import which
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cludale_proof.simulator.faults import Fault, Situation
from cludale_proof.simulator.tally import ENOUGH_SEEDS, Tally
from cludale_proof.simulator.themes import THEMES
from cludale_proof.simulator.trace import Digest, Trace

FINDINGS_SHOWN = 5
LINES_SHOWN = 40


def repeat(seed: int, themes: Sequence[str] | None) -> str:
    """The command that repeats this seed."""
    said = "".join(f" --theme {shlex.quote(theme)}" for theme in themes or ())
    return f"{_interpreter()} -m cludale_proof.simulator --seed {seed}{said} --trace"


def _interpreter() -> str:
    """This Python as one types it: short if that means this one, or where it lies below here."""
    if which("python") == sys.executable:
        return "python"
    here = Path(sys.executable)
    return shlex.quote(str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here))


def simulate(
    *,
    seed: Annotated[int | None, typer.Option(help="run this seed alone")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="tell all that happens (with --seed)")] = False,
    digest: Annotated[bool, typer.Option("--digest", help="print the trace's SHA-256 only (with --seed)")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="how many seeds to run")] = 1_000,
    first: Annotated[int, typer.Option(min=0, help="the first of them")] = 1,
    workers: Annotated[int, typer.Option(min=1, max=64, help="processes at once")] = 2,
    theme: Annotated[list[str] | None, typer.Option(help=f"these faults come together: {', '.join(THEMES)}")] = None,
    pairs: Annotated[
        int | None, typer.Option(min=1, help="run these seeds with so many pairs of themes, one pair after the other")
    ] = None,
    failures: Annotated[int, typer.Option(min=1, help="stop after so many failing seeds")] = 1,
    report: Annotated[Path | None, typer.Option(help="write the figures to this file, as JSON")] = None,
) -> None:
    """Run the platform in virtual time with faults of every kind; the checker looks on. The same seed, the same run."""
    for each in theme or ():
        if each not in THEMES:
            raise typer.BadParameter(f"{each!r} is none of {', '.join(THEMES)}")
    if seed is not None:
        raise typer.Exit(_run_one(seed, theme, trace=trace, digest=digest))
    console = Console(stderr=True)
    if pairs is not None:
        if theme or report:
            raise typer.BadParameter("--pairs goes without --theme and --report")
        raise typer.Exit(_run_pairs(pairs, range(first, first + seeds), workers, failures, console))
    tally = _run_many(range(first, first + seeds), workers, failures, theme, console)
    show(tally, theme, console)
    if report is not None:
        report.write_text(json.dumps(_figures(tally, first), indent=2, ensure_ascii=False) + "\n")
    raise typer.Exit(0 if tally.ok else 1)


def _run_one(seed: int, themes: Sequence[str] | None, *, trace: bool, digest: bool) -> int:
    from cludale_proof.simulator.course import run  # noqa: PLC0415 - the whole platform: `cludale --help` goes without

    sink = Digest()
    outcome = run(seed, Trace(_print if trace else sink if digest else None), themes=themes)
    if digest:
        _print(f"{seed} {sink.hexdigest()} {sink.lines}")
    for finding in outcome.findings:
        _print(finding)
    if not outcome.findings and not digest:
        _print(
            f"seed {seed}: nothing broke. {outcome.orders} buyers, {outcome.events} events, {outcome.steps} steps, "
            f"{sum(outcome.fired.values())} faults in {outcome.virtual_seconds:.0f} virtual seconds"
        )
    return 1 if outcome.findings else 0


def pairs_of(count: int) -> list[tuple[str, str]]:
    """So many pairs of themes, from all over the list and the same each time."""
    found = list(combinations(THEMES, 2))
    Random(20).shuffle(found)  # noqa: S311 - an order, not a secret
    return found[:count]


def _run_pairs(count: int, seeds: range, workers: int, failures: int, console: Console) -> int:
    """What two kinds of trouble do to each other; stops after so many failing runs."""
    done = runs = failed = 0
    for themes in pairs_of(count):
        tally = _run_many(seeds, workers, failures - failed, themes, console)
        done, runs, failed = done + 1, runs + tally.seeds, failed + len(tally.failed)
        if tally.failed:
            show(tally, themes, console)
        if failed >= failures:
            break
    console.print(f"{done} pairs of themes, {runs:,} runs, {failed} failed")
    return 1 if failed else 0


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")


def _run_many(seeds: range, workers: int, failures: int, themes: Sequence[str] | None, console: Console) -> Tally:
    from cludale_proof.simulator.campaign import run_campaign  # noqa: PLC0415 - as above

    with Progress(
        TextColumn("seeds"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
        console=console,
    ) as bar:
        task = bar.add_task("", total=len(seeds), said="")

        def progress(tally: Tally) -> None:
            rate = tally.seeds / tally.seconds if tally.seconds else 0.0
            said = f"{rate:.1f} seeds/s · {sum(tally.fired.values()):,} faults · {len(tally.failed)} failed"
            bar.update(task, completed=tally.seeds, said=said)

        return run_campaign(seeds, workers=workers, failures_wanted=failures, themes=themes, progress=progress)


def show(tally: Tally, themes: Sequence[str] | None, console: Console) -> None:
    """Say what came of the runs, and how to repeat those that failed."""
    table = Table("what was done", "times", "what it led to", "times", title=None)
    faults = [(fault.value, tally.fired[fault.value]) for fault in Fault]
    situations = [(situation.value, tally.met[situation.value]) for situation in Situation]
    for i in range(max(len(faults), len(situations))):
        left = faults[i] if i < len(faults) else ("", "")
        right = situations[i] if i < len(situations) else ("", "")
        table.add_row(*(_cell(value) for value in (*left, *right)))
    console.print(table)
    console.print(
        f"{tally.seeds:,} seeds, {tally.orders:,} buyers, {tally.events:,} events, {tally.steps:,} steps, "
        f"{tally.virtual_seconds / 3600:,.1f} virtual hours in {tally.seconds:.0f} s"
    )
    for seed, findings in tally.failed[:FINDINGS_SHOWN]:
        console.print(f"\n[bold red]seed {seed}[/]: {len(findings)} finding{'s' if len(findings) > 1 else ''}")
        console.print("\n".join(findings[0].splitlines()[:LINES_SHOWN]), markup=False, highlight=False)
        console.print(f"again: [bold]{repeat(seed, themes)}[/]", soft_wrap=True)  # to be copied: one line
    if len(tally.failed) > FINDINGS_SHOWN:
        more = ", ".join(str(seed) for seed, _ in tally.failed[FINDINGS_SHOWN:])
        console.print(f"and seeds {more}")
    if tally.never and tally.seeds >= ENOUGH_SEEDS:
        console.print(f"[bold red]never happened[/]: {', '.join(tally.never)}")
    elif not tally.failed:
        console.print("[bold green]nothing broke[/]")


def _cell(value: str | int) -> str:
    return f"{value:,}" if isinstance(value, int) else value


def _figures(tally: Tally, first: int) -> dict[str, object]:
    return {
        "command": shlex.join(["python", "-m", "cludale_proof.simulator", *sys.argv[1:]]),
        "firstSeed": first,
        "seeds": tally.seeds,
        "buyers": tally.orders,
        "events": tally.events,
        "steps": tally.steps,
        "virtualSeconds": round(tally.virtual_seconds, 1),
        "seconds": round(tally.seconds, 1),
        "faults": {fault.value: tally.fired[fault.value] for fault in Fault},
        "situations": {situation.value: tally.met[situation.value] for situation in Situation},
        "neverHappened": tally.never,
        "failedSeeds": [seed for seed, _ in tally.failed],
    }


def main() -> None:
    """Run the command."""
    typer.run(simulate)
