"""What the command line prints: tables for people, JSON for machines, one clear line for what went wrong."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

NO = 1
"""Exit status: the answer is no."""
CANNOT = 2
"""Exit status: it could not be asked."""

Row = Mapping[str, Any]


def say(text: str) -> None:
    """One line, as it is."""
    sys.stdout.write(text + "\n")


def print_json(value: Any) -> None:
    """JSON for machines."""
    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def fail(why: str, status: int = CANNOT) -> NoReturn:
    """One line to stderr, and the end."""
    Console(stderr=True).print(f"[bold red]cludale:[/] {escape(why)}", soft_wrap=True, highlight=False)
    raise SystemExit(status)


def table(
    rows: Sequence[Row],
    *,
    columns: Sequence[str],
    as_json: bool,
    titles: Mapping[str, str] | None = None,
    marked: Callable[[Row], bool] = lambda _: False,
) -> None:
    """The rows, as a table or as a JSON array; `marked` rows stand out."""
    if as_json:
        print_json(rows)
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column((titles or {}).get(column, column), overflow="fold", no_wrap=column in ("sequence", "id"))
    for row in rows:
        cells = [escape(_text(row.get(column))) for column in columns]
        shown.add_row(*cells, style="bold cyan" if marked(row) else None)
    Console().print(shown if rows else "none")


def record(row: Row, *, as_json: bool) -> None:
    """One thing with all its fields."""
    if as_json:
        print_json(row)
        return
    shown = Table(box=None, pad_edge=False, show_header=False)
    shown.add_column(style="bold")
    shown.add_column(overflow="fold")
    for field, value in row.items():
        if value is not None:
            shown.add_row(escape(field), escape(_text(value)))
    Console().print(shown)


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case {"amount": int(amount), "currency": str(currency)}:
            return f"{amount / 100:.2f} {currency}"
        case dict():
            return ", ".join(f"{key}: {_text(each)}" for key, each in value.items())
        case list():
            return "; ".join(_text(each) for each in value)
        case _:
            return str(value)
