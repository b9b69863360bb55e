"""`python -m tools.reliability`: does all that docs/evidence/reliability.md reports, and writes its figures there.

Here is what is run, in which order, with what to look at meanwhile. What is tested is in tests/proof/faults and
tests/proof/simulator, how it reads is in `page.py`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from tools.reliability import page
from tools.reliability.figures import Done, Row, Rows

from benchmarks import machine

PROJECT = machine.PROJECT
WATCH_SECONDS = 0.5
SECTION_SECONDS = 3 * 3600
SAID_COLUMNS = 70
NO_TESTS = 5
"""How pytest says that there was nothing to run."""


class Options(NamedTuple):
    """What was asked for."""

    scale: str
    seed: int
    seeds: int


class Section(NamedTuple):
    """A part of the whole: the command that does it, and how its figures are read from the file that it writes."""

    name: str
    command: Callable[[Options, Path], Sequence[str]]
    read: Callable[[Path], list[Row]]


def tests(file: str) -> Section:
    """A file of fault tests is a section."""

    def command(_: Options, __: Path) -> Sequence[str]:
        return (sys.executable, "-m", "pytest", "-q", "-x", f"tests/proof/faults/test_{file}.py")

    return Section(
        file.replace("_", "-"), command, lambda figures: [each for each in said(figures) if isinstance(each, Row)]
    )


def simulate(options: Options, report: Path) -> Sequence[str]:
    """The simulator, over so many seeds."""
    seeds = ("--first", str(options.seed), "--seeds", str(options.seeds))
    return (sys.executable, "-m", "cludale_proof.simulator", *seeds, "--report", str(report))


def hunt(options: Options, report: Path) -> Sequence[str]:
    """The planted bugs."""
    return (sys.executable, "-m", "cludale_proof.planted.hunt", "--first", str(options.seed), "--report", str(report))


def simulated(report: Path) -> list[Row]:
    """The simulator's figures."""
    found = msgspec.json.decode(report.read_bytes())
    total = {name: found[name] for name in ("seeds", "buyers", "events", "steps", "seconds")}
    total["virtualHours"] = round(found["virtualSeconds"] / 3600, 1)
    total["failed"] = len(found["failedSeeds"])
    faults = [Row("simulated faults", {"fault": fault, "times": times}) for fault, times in found["faults"].items()]
    return [Row("simulated", total), *faults]


def hunted(report: Path) -> list[Row]:
    """Within how many seeds each planted bug was found."""
    found = msgspec.json.decode(report.read_bytes())
    return [Row("planted", {"bug": each["bug"], "seeds": each["seeds"], "said": each["said"]}) for each in found]


SUITES = (
    "power_cut", "crash", "disk_trouble", "races", "clock", "rude_clients", "apart", "blue_green", "overload",
    "restart",
)  # fmt: skip
SECTIONS = (
    Section("simulator", simulate, simulated),
    Section("planted-bugs", hunt, hunted),
    *(tests(file) for file in SUITES),
)


def said(figures: Path) -> Iterator[Row | str]:
    """The rows that tests have written so far, and what they said of how far they are."""
    if not figures.exists():
        return
    for line in figures.read_bytes().splitlines():
        found = msgspec.json.decode(line)
        yield found["said"] if "said" in found else Row(found["table"], found["cells"])


def run(section: Section, options: Options, tell: Callable[[str], None], log: Path) -> Rows:
    """Do one section; its figures. Raises Failed, LeftOut."""
    commit = machine.provenance("tools.reliability", [])
    began = monotonic()
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures"
        environment = {
            **os.environ,
            "RELIABILITY_SCALE": options.scale,
            "RELIABILITY_SEED": str(options.seed),
            "RELIABILITY_FIGURES": str(figures),
        }
        with log.open("ab") as output:
            process = subprocess.Popen(
                section.command(options, figures), cwd=PROJECT, env=environment, stdout=output, stderr=output
            )
        try:
            while process.poll() is None:
                if monotonic() - began > SECTION_SECONDS:
                    raise Failed(f"{section.name} is not over after {SECTION_SECONDS} s")
                if section.name not in ("simulator", "planted-bugs"):
                    tell(next((each for each in reversed(list(said(figures))) if isinstance(each, str)), ""))
                try:
                    process.wait(WATCH_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
            process.wait()
        if process.returncode == NO_TESTS and "pytest" in section.command(options, figures):
            raise LeftOut(f"{section.name}: left out at this scale ({options.scale})")
        if process.returncode:
            raise Failed(f"{section.name} ended with status {process.returncode}; what it said is in {log}")
        done = Done(
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            commit=commit["commit"] + (" with changes" if commit["uncommittedChanges"] else ""),
            scale=options.scale,
            seed=options.seed,
            minutes=round((monotonic() - began) / 60, 1),
        )
        return Rows(done, section.read(figures))


class Failed(Exception):
    """A section did not pass: no figures are written for it."""


class LeftOut(Exception):
    """A section has nothing to do at this scale: the figures that it had stay."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.reliability", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=("quick", "slow", "full"), default="full", help="how much is done (full)")
    parser.add_argument("--seed", type=int, default=1, help="the seed of all that is random (1)")
    parser.add_argument("--seeds", type=int, default=10_000, help="how many seeds the simulator runs (10000)")
    names = [section.name for section in SECTIONS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="do these sections only")
    asked = parser.parse_args()
    options = Options(asked.scale, asked.seed, asked.seeds)
    console = Console()
    folder = PROJECT / ".cache" / "reliability"
    folder.mkdir(parents=True, exist_ok=True)
    failed = []
    columns = (
        SpinnerColumn(), TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[said]}"),
    )  # fmt: skip
    sections = [section for section in SECTIONS if section.name in asked.only]
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(sections), said="")
        for section in sections:
            progress.update(bar, description=section.name, said="")

            def tell(what: str) -> None:
                progress.update(bar, said=what[:SAID_COLUMNS])

            log = folder / f"{section.name}.log"
            log.unlink(missing_ok=True)
            try:
                rows = run(section, options, tell, log)
            except Failed as failure:
                failed.append(str(failure))
                console.print(f"[bold red]{failure}[/]")
            except LeftOut as left_out:
                console.print(f"[yellow]{left_out}[/]")
            else:
                page.keep(section.name, rows, machine.facts())
                console.print(f"[green]{section.name}[/]: passed in {rows.done.minutes} min")
            progress.advance(bar)
    page.write()
    console.print(f"written: {page.PAGE.relative_to(PROJECT)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
