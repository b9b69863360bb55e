"""What `cludale up` shows while it runs: on a terminal a table that is kept current, elsewhere a line an event."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from cludale_operations.local.up import Up

LOOKS_A_SECOND = 2
_COLOURS = {"ready": "green", "starting": "yellow", "stopping": "yellow", "ended": "bold red"}


class Screen:
    """Events go to stderr, so that stdout has the greeting only."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    def say(self, line: str) -> None:
        """One event."""
        if self._console.is_terminal:
            self._console.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {escape(line)}", highlight=False)
        else:
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
            sys.stderr.flush()

    @contextmanager
    def showing(self, running: "Up") -> Iterator[None]:
        """Keep the table current while the block lasts, if there is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with Live(
            console=self._console,
            get_renderable=lambda: _table(running),
            refresh_per_second=LOOKS_A_SECOND,
            transient=True,
        ):
            yield


def _table(running: "Up") -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("part", "state", "for", "pid", "port", "restarts"):
        shown.add_column(column, justify="left" if column in {"part", "state"} else "right", no_wrap=True)
    for watched in running.watched.values():
        part = watched.part
        colour = _COLOURS.get(watched.state, "dim")
        shown.add_row(
            part.name,
            f"[{colour}]{watched.state}[/]",
            f"{time.time() - watched.since:.0f} s",
            str(part.pid or ""),
            str(part.port),
            str(watched.restarts or ""),
        )
    return shown
