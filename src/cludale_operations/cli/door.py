"""`cludale door`: lets people in at a terminal. A hand scanner types a code and a line end; so does `cat codes.txt`."""

import sys
from collections import Counter
from collections.abc import Iterator
from secrets import token_hex
from typing import Annotated, Any

import typer

from cludale_operations.cli.client import Client, Url
from cludale_operations.cli.screen import say

_SAYS = {
    "valid": "IN",
    "used": "STOP  was let in before",
    "not-inside": "STOP  nobody is inside with it",
    "revoked": "STOP  the ticket is void",
    "replaced": "STOP  it was given to somebody else: there is a newer code",
    "wrong-concert": "STOP  it is for another concert",
    "not-yet": "STOP  the doors are not open yet",
    "over": "STOP  the concert is over",
    "forged": "STOP  this is no ticket of ours",
    "unknown": "STOP  there is no such ticket",
}


def door(
    name: Annotated[str, typer.Argument(help="What this door is called: letters, digits, `.`, `_`, `-`.")],
    *,
    concert: Annotated[str | None, typer.Option(help="What is on here: tickets of others are refused.")] = None,
    out: Annotated[bool, typer.Option("--out", help="Let people out, not in.")] = False,
    url: Url = None,
) -> None:
    """Let people in: a line is a code, the answer is IN or STOP and why. Ends with the input, and says how many came.

    The key in CLUDALE_ORGANIZER_KEY needs the scope door, and no other.
    """
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
            say(_said(said, out=out))
    say(", ".join(f"{number} {result}" for result, number in sorted(counted.items())) or "nobody came")


def _lines() -> Iterator[str]:
    """What was typed. A space may be a letter of a code, so only the end of the line is cut off."""
    for line in sys.stdin:
        code = line.rstrip("\r\n")
        if code:
            yield code


def _said(said: dict[str, Any], *, out: bool) -> str:
    text = "OUT" if out and said["result"] == "valid" else _SAYS[said["result"]]
    if said["result"] == "valid":
        return f"{text}  {said['number']} of {said['quantity']}  {said['section']}"
    when = "" if said["at"] is None else f" ({said['at']}{'' if said['door'] is None else ', ' + said['door']})"
    return text + when
