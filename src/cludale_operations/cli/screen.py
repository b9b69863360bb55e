"""What the command line prints: tables for people, JSON for machines, a line for an error. And times typed into it."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from cludale.kernel.money import Money
from cludale.kernel.texts import printable

# rich is loaded where something is drawn: servers and JSON need none of it.
if TYPE_CHECKING:
    from rich.console import Console

NO = 1
"""Exit status: the answer is no."""
CANNOT = 2
"""Exit status: it could not be asked."""

PIPED_COLUMNS = 240
"""How wide a table is that no terminal limits."""

Row = Mapping[str, Any]

_TIME = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d{1,3})?)\d*(Z|[+-]\d\d:\d\d)$")


def say(text: str) -> None:
    """Text as it is, at once; characters that would confuse a terminal as JSON escapes."""
    sys.stdout.write(printable(text, lines=True) + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """One line beside the output, to stderr: how far it is, what is left out."""
    sys.stderr.write(printable(text, lines=True) + "\n")
    sys.stderr.flush()


def print_json(value: Any) -> None:
    """JSON for machines."""
    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def fail(why: str, status: int = CANNOT) -> NoReturn:
    """One line to stderr, and the end."""
    from rich.console import Console
    from rich.markup import escape

    Console(stderr=True).print(
        f"[bold red]cludale:[/] {escape(printable(why, lines=True))}", soft_wrap=True, highlight=False
    )
    raise SystemExit(status)


def as_moment(text: str) -> datetime:
    """The time that somebody typed, in UTC if no zone is said. Ends the program with one line if it is none."""
    try:
        found = msgspec.convert(text, datetime)
    except msgspec.ValidationError as error:
        fail(f"{text!r} is no time; write 2027-06-05T19:30:00Z ({error})")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def table(
    rows: Sequence[Row],
    *,
    columns: Sequence[str],
    as_json: bool,
    titles: Mapping[str, str] | None = None,
    wide: Sequence[str] = (),
    marked: Callable[[Row], bool] = lambda _: False,
) -> None:
    """The rows, as a table or as a JSON array. Only `wide` columns go over several lines; `marked` rows stand out."""
    if as_json:
        print_json(rows)
        return
    from rich.markup import escape
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        is_number = bool(rows) and all(isinstance(row.get(column), int) for row in rows)
        shown.add_column(
            (titles or {}).get(column, column),
            justify="right" if is_number else "left",
            no_wrap=column not in wide,
            overflow="fold",
        )
    for row in rows:
        cells = [escape(_text(row.get(column))) for column in columns]
        shown.add_row(*cells, style="bold cyan" if marked(row) else None)
    _console().print(shown if rows else "none")


def record(row: Row, *, as_json: bool) -> None:
    """One thing with all its fields."""
    if as_json:
        print_json(row)
        return
    from rich.markup import escape
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, show_header=False)
    shown.add_column(style="bold")
    shown.add_column(overflow="fold")
    for field, value in row.items():
        if value is not None:
            shown.add_row(escape(printable(field)), escape(_text(value)))
    _console().print(shown)


def _console() -> "Console":
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=PIPED_COLUMNS)


_AMOUNTS = frozenset({"price", "net", "total", "discount", "fee", "tax", "amount"})
"""What a bill has in minor units of its one currency."""


def _with_currency(bill: Any, currency: str) -> Any:
    """The bill, or a part of it, with amounts as people write them."""
    match bill:
        case dict():
            return {
                key: str(Money(each, currency))
                if key in _AMOUNTS and isinstance(each, int)
                else _with_currency(each, currency)
                for key, each in bill.items()
            }
        case list():
            return [_with_currency(each, currency) for each in bill]
        case _:
            return bill


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case {"amount": int(amount), "currency": str(currency)}:
            return str(Money(amount, currency))
        case dict():
            fields = _with_currency(value, value["currency"]) if {"currency", "lines"} <= value.keys() else value
            return ", ".join(f"{key} {_text(each)}" for key, each in fields.items() if each is not None)
        case list() | tuple():
            return "; ".join(_text(each) for each in value)
        case str() if match := _TIME.match(value):
            return f"{match[1]} {match[2]}{match[3]}"
        case _:
            return printable(str(value), lines=True)
