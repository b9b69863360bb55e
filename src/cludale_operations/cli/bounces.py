"""`cludale notifications bounce`: reads what mail servers send back, and says which messages it is about.

Only ids and status codes leave this program: a report names the buyer's address.
"""

import mailbox
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from cludale.adapters.smtp import Bounce, bounce_of
from cludale_operations.cli.client import Client, Json, Url
from cludale_operations.cli.screen import CANNOT, fail, note, print_json, say

TRY_LATER = 75
"""EX_TEMPFAIL: a mail server that pipes a report here keeps it, and tries again."""
AT_ONCE = 200


def bounce(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(exists=True, help="Messages, mbox files or Maildir folders. Default: one message from stdin."),
    ] = None,
    *,
    delete: Annotated[
        bool, typer.Option(help="Take what was read out of mbox files and Maildir folders, once it is told.")
    ] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Mark messages that came back: reads delivery reports (RFC 3464), as mail servers send them.

    For an alias or a transport that pipes each message of the return address here, or for a mailbox that is read now
    and then. What is no report of a failure is passed over. Without an answer from the server: 75, so that it is tried
    again.
    """
    boxes = [_opened(path) for path in paths or ()]
    read = 0
    found: list[Bounce] = []
    for content in _contents(boxes) if paths else (sys.stdin.buffer.read(),):
        read += 1
        came_back = bounce_of(content)
        if came_back is not None:
            found.append(came_back)
    told = _send_bounces(found, url)
    if delete:
        for box in boxes:
            if isinstance(box, mailbox.Mailbox):
                box.clear()
                box.close()
    if json:
        print_json(told)
        return
    for each in told["items"]:
        say(f"{each['id']}: {each['status']}, {each['bounce'] or 'as it was'}")
    for id in told["unknown"]:
        note(f"{id}: there is no such message")
    note(f"{read} read, {len(found)} of them reports of messages that came back")


def _send_bounces(found: list[Bounce], url: str | None) -> dict[str, list[dict[str, str | None]]]:
    told: dict[str, list[dict[str, str | None]]] = {"items": [], "unknown": []}
    try:
        for start in range(0, len(found), AT_ONCE):
            with Client(url) as client:
                bounces = [each._asdict() for each in found[start : start + AT_ONCE]]
                answer = client.post("/notifications/bounces", {"bounces": bounces})
            for name, items in answer.items():
                told[name] += items
    except SystemExit as end:
        raise SystemExit(TRY_LATER if end.code == CANNOT else end.code) from end
    return told


_Box = mailbox.Mailbox[mailbox.Message] | bytes


def _opened(path: Path) -> "_Box":
    """A mailbox, or one message."""
    if path.is_dir():
        if not (path / "new").is_dir():
            fail(f"{path} is no Maildir folder: it has no `new` in it")
        return mailbox.Maildir(path, create=False)
    with path.open("rb") as file:
        is_mbox = file.read(5) == b"From "
    return mailbox.mbox(path, create=False) if is_mbox else path.read_bytes()


def _contents(boxes: "list[_Box]") -> Iterator[bytes]:
    for box in boxes:
        if isinstance(box, bytes):
            yield box
        else:
            yield from (box.get_bytes(key) for key in box.keys())  # noqa: SIM118 - a Mailbox goes through messages
