"""A report for people and for programs: what broke, for whom, and the story that shows it. Decides nothing."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from cludale_proof.checker.events import EventData, Fact
from cludale_proof.checker.findings import Invariant, Report, Violation

_SHOWN = (
    "reservation_id",
    "payment_id",
    "concert_id",
    "section",
    "quantity",
    "total",
    "amount",
    "round",
    "payment_round",
    "reason",
    "was_paid",
    "expires_at",
    "kind",
    "channel",
)


def as_json(report: Report) -> bytes:
    """The report as one JSON object, its names in camelCase."""
    return msgspec.json.encode(
        {
            "ok": report.ok,
            "quiet": report.quiet,
            "violations": [_plain(each) for each in report.violations],
            "omitted": report.omitted,
            "counts": report.counts,
            "notes": report.notes,
            "unchecked": report.unchecked,
            "seconds": round(report.seconds, 3),
        }
    )


def _plain(violation: Violation) -> dict[str, Any]:
    return {
        "invariant": violation.invariant.number,
        "promise": violation.invariant.sentence,
        "rule": violation.rule,
        "subject": violation.subject,
        "detail": violation.detail,
        "orderId": violation.order_id,
        "evidence": [fact.event.id for fact in violation.evidence],
        "story": [_plain_fact(fact) for fact in violation.story or violation.evidence],
    }


def _plain_fact(fact: Fact) -> dict[str, Any]:
    event = fact.event
    return {
        "sequence": fact.sequence or None,
        "id": event.id,
        "type": event.type,
        "time": event.time,
        "source": event.source,
        "causationId": event.causationid,
        "data": event.data,
    }


def show(report: Report, console: Console) -> None:
    """Print the report."""
    shown: set[str] = set()
    for violation in report.violations:
        console.print(_panel(violation, with_story=violation.subject not in shown))
        shown.add(violation.subject)
    if report.omitted:
        console.print(f"[bold red]and {report.omitted} more; --limit shows more of them[/]")
    for note in report.notes:
        console.print(f"[yellow]note[/] {escape(note)}", soft_wrap=True)
    for missing in report.unchecked:
        console.print(f"[yellow]not checked[/] {escape(missing)}", soft_wrap=True)
    looked_at = ", ".join(f"{number:,} {name}" for name, number in report.counts.items() if number)
    console.print(f"Looked at {looked_at or 'an empty store'} in {report.seconds:.1f} s.", soft_wrap=True)
    if report.ok:
        how = "everything holds, and everything came to its end" if report.quiet else "everything holds"
        console.print(f"[bold green]OK[/]: {how}.")
        return
    numbers = sorted({violation.invariant for violation in report.violations}, key=lambda each: each.number)
    total = len(report.violations) + report.omitted
    console.print(f"[bold red]BROKEN[/]: {total} violation{'' if total == 1 else 's'} of")
    for invariant in numbers:
        console.print(f"  {_promise(invariant)}", soft_wrap=True)


def _promise(invariant: Invariant) -> str:
    return f"[bold]{invariant.number}[/] {escape(invariant.sentence)}"


def _panel(violation: Violation, *, with_story: bool) -> RenderableType:
    parts: list[RenderableType] = [escape(violation.detail)]
    facts = violation.story or violation.evidence
    if facts and with_story:
        parts.append(_story(facts, {fact.event.id for fact in violation.evidence}))
    elif facts:
        parts.append("[dim](its story is above)[/]")
    return Panel(
        Group(*parts),
        title=f"[bold red]{violation.invariant.number} {violation.rule}[/] {escape(violation.subject)}",
        title_align="left",
        border_style="red",
    )


def _story(facts: Sequence[Fact], evidence: Iterable[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for name in ("", "entry", "time", "event", "caused by", "what"):
        table.add_column(name, overflow="fold")
    marked = set(evidence)
    types = {fact.event.id: fact.event.type for fact in facts}
    for fact in facts:
        event = fact.event
        cause = event.causationid
        table.add_row(
            "[bold red]▶[/]" if event.id in marked else "",
            str(fact.sequence) if fact.sequence else "-",
            _time(event.time),
            event.type,
            "" if cause is None else escape(types.get(cause, cause)),
            escape(_fields_text(event.data)),
        )
    return table


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def _fields_text(data: EventData) -> str:
    told = ((name, getattr(data, name)) for name in _SHOWN)
    return " ".join(
        f"{name}={_time(value) if isinstance(value, datetime) else value}" for name, value in told if value is not None
    )
