"""`cludale notifications templates`: what messages are made from: look, try, store, reset."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cludale_operations.cli.client import OWN, Json, Server, segment
from cludale_operations.cli.screen import fail, print_json, record, say, table

app = typer.Typer(no_args_is_help=True, help="Templates of messages: list, show, preview, store, reset.")

PARTS = ("subject", "text", "html")
_PATH = "/notifications/templates"

Which = Annotated[str, typer.Argument(help="Kind and language: `confirmation.de`. `list` shows them all.")]
_File = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A file with it.")]
_Subject = Annotated[str | None, typer.Option(help="The subject's template itself.")]


@app.command("list")
def list_templates(*, client: Server = OWN, json: Json = False) -> None:
    """Each kind of message in each language, and what of it is your own."""
    found = client.get(_PATH)["items"]
    table(found, columns=("id", "own", "revision", "changedAt", "changedBy"), as_json=json)


@app.command()
def show(
    template: Which,
    *,
    part: Annotated[str | None, typer.Option(help="Print this alone: subject, text or html.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """What it is made from, and what can be named in it. `--part html > mine.html` to begin with."""
    found = client.get(f"{_PATH}/{segment(template)}")
    if part is None:
        record(found, as_json=json)
    elif part in PARTS:
        say(found[part].removesuffix("\n"))
    else:
        fail(f"there is no part {part!r}; these are: {', '.join(PARTS)}")


@app.command()
def store(
    template: Which,
    *,
    subject: _Subject = None,
    text: _File = None,
    html: _File = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Have these messages made from your own parts from now on; a part that is left out stays as it is.

    It is tried first: a template that can't be filled in is refused, with the line.
    """
    given = _changes(subject, text, html)
    if not given:
        fail("give --subject, --text or --html; `reset` has the platform's again")
    before = client.get(f"{_PATH}/{segment(template)}")
    kept = {part: before[part] for part in before["own"]}
    body = {**kept, **given, "revision": before["revision"]}
    _show_revision(client.post(f"{_PATH}/{segment(template)}", body), as_json=json)


@app.command()
def reset(template: Which, *, client: Server = OWN, json: Json = False) -> None:
    """Have these messages made from the platform's template again. Yours is dropped."""
    _show_revision(client.post(f"{_PATH}/{segment(template)}/reset", None), as_json=json)


@app.command()
def preview(
    template: Which,
    *,
    subject: _Subject = None,
    text: _File = None,
    html: _File = None,
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="A folder for message.txt and message.html, made if need be.")
    ] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Show a message, made with these parts, for an order that there is not. Nothing is stored or sent."""
    made = client.post(f"{_PATH}/{segment(template)}/preview", _changes(subject, text, html))
    if json:
        print_json(made)
    elif out is None:
        say(f"{made['subject']}\n\n{made['text']}")
    else:
        out.mkdir(parents=True, exist_ok=True)
        (out / "message.txt").write_text(f"{made['subject']}\n\n{made['text']}", "utf-8")
        (out / "message.html").write_text(made["html"], "utf-8")
        say(f"{out / 'message.txt'} and {out / 'message.html'} are written.")


def _changes(subject: str | None, text: Path | None, html: Path | None) -> dict[str, str]:
    try:
        files = {name: path.read_text("utf-8") for name, path in (("text", text), ("html", html)) if path is not None}
    except UnicodeDecodeError as error:
        fail(f"the file is not in UTF-8: {error}")
    return files if subject is None else {"subject": subject, **files}


def _show_revision(found: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    own = ", ".join(found["own"])
    say(f"{found['id']}: {f'{own} of your own' if own else 'all of it of the platform'}, revision {found['revision']}.")
