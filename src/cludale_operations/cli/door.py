"""`cludale door`: lets people in at a terminal. A hand scanner types a code and a line end; so does `cat codes.txt`."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any

import typer

from cludale.wiring.settings import Settings
from cludale_operations.cli import offline_door
from cludale_operations.cli.client import Client, Url
from cludale_operations.cli.offline_door import MOVED, SAYS
from cludale_operations.cli.screen import fail, say


def door(
    name: Annotated[str, typer.Argument(help="What this door is called: letters, digits, `.`, `_`, `-`.")],
    *,
    concert: Annotated[str | None, typer.Option(help="What is on here: tickets of others are refused.")] = None,
    out: Annotated[bool, typer.Option("--out", help="Let people out, not in.")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Go on without network, and tell later who was let in. Needs --concert.")
    ] = False,
    journal: Annotated[
        Path | None, typer.Option(help="Where --offline keeps every scan. Default: doors/NAME.db in the data folder.")
    ] = None,
    url: Url = None,
) -> None:
    """Let people in: a line is a code, the answer is IN or STOP and why. Ends with the input, and says how many came.

    The key in CLUDALE_ORGANIZER_KEY needs the scope door, and no other. With --offline the line `undo` undoes the last
    admission, and what waits to be told stays in the journal: the same command tells it when there is network again.
    """
    if offline or journal is not None:
        if concert is None:
            fail("--offline needs --concert: a door without network has to know what is on")
        path = Settings.from_env(os.environ).data_dir / "doors" / f"{name}.db" if journal is None else journal
        offline_door.run(name, concert=concert, out=out, path=path, url=url, lines=_lines())
        return
    counted: Counter[str] = Counter()
    with Client(url) as client:
        for code in _lines():
            body = {
                "code": code,
                "door": name,
                "concertId": concert,
                "direction": "out" if out else "in",
                "scanId": f"scan-{token_hex(12)}",
            }
            said = client.post_until_answered("/tickets/admissions", body)
            counted[said["result"]] += 1
            say(_verdict_line(said, out=out))
    say(", ".join(f"{number} {result}" for result, number in sorted(counted.items())) or "nobody came")


def _lines() -> Iterator[str]:
    """What was typed. A space may be a letter of a code, so only the end of the line is cut off."""
    for line in sys.stdin:
        code = line.rstrip("\r\n")
        if code:
            yield code


def _verdict_line(said: dict[str, Any], *, out: bool) -> str:
    text = "OUT" if out and said["result"] == "valid" else SAYS[said["result"]]
    if said["result"] == "valid":
        return f"{text}  {said['number']} of {said['quantity']}  {said['section']}"
    if moved := said.get("movedTo"):
        return f"{MOVED} row {moved['row']}, seat {moved['number']}"
    when = "" if said["at"] is None else f" ({said['at']}{'' if said['door'] is None else ', ' + said['door']})"
    return text + when
