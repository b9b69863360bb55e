"""What is late: a component of which a newer release has been there for longer than it may wait, and the exceptions."""

import tomllib
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import NamedTuple

EXCEPTIONS = Path(__file__).with_name("exceptions.toml")
DAYS = 90
"""By when a newer release is taken, as SECURITY.md says."""


class Late(NamedTuple):
    """A component that has waited too long, or whose registry can't be asked (then `newer` says so)."""

    kind: str
    name: str
    locked: str
    newer: str
    file: str


class Excepted(NamedTuple):
    """What may be late, why, and until when."""

    kind: str
    name: str
    why: str
    until: date


def exceptions(text: str) -> list[Excepted]:
    """Those of the file, `[kind."name"]` each. Raises KeyError where one has no reason or no end."""
    return [
        Excepted(kind, name, each["why"], each["until"])
        for kind, names in tomllib.loads(text).items()
        for name, each in names.items()
    ]


def complaints(late: Iterable[Late], excepted: Iterable[Excepted], today: date) -> list[str]:
    """One line for each that is late without an exception, or whose exception has ended or is not needed."""
    good = {(each.kind, each.name): each for each in excepted}
    lines, needed = [], set()
    for each in sorted(set(late)):
        exception = good.get((each.kind, each.name))
        needed.add((each.kind, each.name))
        said = f"{each.file}: {each.kind} {each.name} {each.locked}, {each.newer}"
        if exception is None:
            lines.append(said)
        elif exception.until < today:
            lines.append(f"{said}; its exception ended on {exception.until}")
    lines += [f"{kind} {name} has an exception and is not late" for kind, name in sorted(good.keys() - needed)]
    return lines
