"""`python -m cludale_proof.planted.hunt`: within how many seeds the simulator finds each planted bug.

Some are about moments that few seeds come to: such a bug says which theme brings it out, and is looked for in seeds of
that first, then in seeds of all themes, then in some of each other theme. The seed that showed a bug is noted in
seeds.json, where the test of the planted bugs looks first: it takes seconds then, not an hour. A change of the code can
make another run of a seed; the test goes on to look then, and a new hunt notes the new seeds. Exit status 0 if all were
found.
"""

import gc
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cludale_proof.planted.bugs import BUGS, Bug
from cludale_proof.simulator.course import run
from cludale_proof.simulator.themes import THEMES

NOTED = Path(__file__).with_name("seeds.json")
"""For each bug a theme (or none, for the seed's own) and a seed that shows it."""
OTHER_SEEDS = 60
"""Of each theme that is not the bug's own."""


class Hunted(NamedTuple):
    """What came of the hunt for one bug; `seed` None: it got away. With a `theme` all seeds had that theme."""

    bug: int
    seed: int | None
    theme: str | None
    said: str
    seconds: float


def hunt(bug: int, first: int, seeds: int) -> Hunted:
    """Run seeds with this bug planted until one shows it."""
    began = time.monotonic()
    for theme, seed in _everywhere(BUGS[bug], first, seeds):
        said = shows(BUGS[bug], seed, theme)
        if said is not None:
            return Hunted(bug, seed, theme, said, time.monotonic() - began)
        if seed % 20 == 0:
            gc.collect()
    return Hunted(bug, None, None, "", time.monotonic() - began)


def _everywhere(bug: Bug, first: int, seeds: int) -> Iterator[tuple[str | None, int]]:
    """Where a bug is looked for: `seeds` of its theme, as many of all themes (None), then some of each other."""
    begin = (None,) if bug.theme is None else (bug.theme, None)
    for theme in begin:
        yield from ((theme, seed) for seed in range(first, first + seeds))
    for theme in THEMES:
        if theme not in begin:
            yield from ((theme, seed) for seed in range(first, first + OTHER_SEEDS))


def _note(seeds: Mapping[str, tuple[str | None, int]]) -> None:
    lines = (f"  {json.dumps(name)}: {json.dumps(place)}" for name, place in seeds.items())
    NOTED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def places(bug: Bug, seeds: int) -> Iterator[tuple[str | None, int]]:
    """Where a test looks for it: what the last hunt noted, then everywhere."""
    noted: Mapping[str, tuple[str | None, int]] = json.loads(NOTED.read_text())
    if bug.name in noted:
        theme, seed = noted[bug.name]
        yield theme, seed
    yield from _everywhere(bug, 1, seeds)


def shows(bug: Bug, seed: int, theme: str | None = None) -> str | None:
    """What the run of this seed (and with this theme; ` + ` is between two that come together) says of the bug, if
    anything. Where it says something without the bug, too, it is not about the bug.
    """
    with bug.planted():
        said = _said(seed, theme)
    return said if said is None or said_without_bugs(seed, theme) is None else None


@cache
def said_without_bugs(seed: int, theme: str | None) -> str | None:
    """What this run says of the code as it is: nothing, if there is no fault in it."""
    return _said(seed, theme)


def _said(seed: int, theme: str | None) -> str | None:
    findings = run(seed, themes=None if theme is None else theme.split(" + ")).findings
    return findings[0].splitlines()[0] if findings else None


def within(found: Hunted, first: int) -> str:
    """How many seeds it took: `12`; `24 of the theme impatience`, which is its own or the first to show it."""
    if found.seed is None:
        return "never"
    count = f"{found.seed - first + 1:,}"
    return count if found.theme is None else f"{count} of the theme {found.theme}"


def main(
    *,
    seeds: Annotated[int, typer.Option(min=1, help="so many of its theme, and of all")] = 1_000,
    first: Annotated[int, typer.Option(min=0, help="the first of them")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="processes at once")] = 2,
    report: Annotated[Path | None, typer.Option(help="write the figures to this file, as JSON")] = None,
    note: Annotated[bool, typer.Option(help="note the seeds in seeds.json")] = True,
) -> None:
    """Plant each bug in turn and let the simulator look for it."""
    console = Console()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        hunts = [pool.submit(hunt, bug, first, seeds) for bug in range(len(BUGS))]
        progress = Console(stderr=True)
        found = [each.result() for each in track(as_completed(hunts), "hunting", len(hunts), console=progress)]
    found.sort()
    table = Table("planted bug", "seeds", "seconds", "what the checker said first")
    for each in found:
        table.add_row(BUGS[each.bug].name, within(each, first), f"{each.seconds:.1f}", each.said)
    console.print(table)
    away = [BUGS[each.bug].name for each in found if each.seed is None]
    console.print(f"{len(found) - len(away)} of {len(found)} found" + (f"; not: {', '.join(away)}" if away else ""))
    if report is not None:
        figures = [
            {"bug": BUGS[each.bug].name, "seeds": within(each, first), "seed": each.seed, "said": each.said}
            for each in found
        ]
        report.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    if note:
        _note({BUGS[each.bug].name: (each.theme, each.seed) for each in found if each.seed is not None})
    raise typer.Exit(1 if away else 0)


if __name__ == "__main__":
    typer.run(main)
