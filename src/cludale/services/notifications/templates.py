"""Templates that an organizer writes: what they are, what may be in them, and where one is wrong. No I/O or clock.

They are Jinja2's, in its sandbox, and of its language only what fills in values: no calls, no arithmetic, no
assignments, no loop in a loop, no other template. So they reach nothing but the values that they are given
(`words.NAMES`), and end after a time and a length that follow from their own.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from html.parser import HTMLParser
from typing import Any, NamedTuple

import msgspec
from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2 import Template as Compiled
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cludale.kernel.decision import Decision
from cludale.kernel.principals import Principal
from cludale.kernel.refusals import Refusal
from cludale.services.notifications.events import TemplateChange, TemplateChanged, TemplateKind
from cludale.services.notifications.words import LISTS, NAMES, Values

MOST_CHARACTERS = 60_000
"""The longest part of a template."""
MOST_BYTES = 100_000
"""The longest message that may come of it: some mail programs cut longer ones off."""
LONGEST_SUBJECT = 250


class Part(StrEnum):
    """A part of a message."""

    SUBJECT = "subject"
    TEXT = "text"
    HTML = "html"


class Template(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """An organizer's own words for one kind of message in one language; a part that is None is the platform's."""

    id: str
    organizer: str
    kind: TemplateKind
    language: str
    revision: int
    """Counts its changes, those before it was reset too."""
    changed_at: datetime
    changed_by: str
    """The id of the key or person."""
    subject: str | None = None
    text: str | None = None
    html: str | None = None

    @property
    def is_own(self) -> bool:
        """Is any part the organizer's?"""
        return any(part is not None for part in (self.subject, self.text, self.html))

    def source(self, part: Part) -> str | None:
        """The organizer's source of a part."""
        source: str | None = getattr(self, part.value)
        return source


class TemplateFault(NamedTuple):
    """What is wrong with a template, and where."""

    part: Part
    line: int
    why: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.why}"


class BrokenTemplate(Exception):
    """A template can't be used."""

    def __init__(self, faults: list[TemplateFault]) -> None:
        super().__init__("; ".join(f"{each.part}, {each}" for each in faults))
        self.faults = faults


class TemplateOutdated(Refusal):
    """Somebody else changed it in between."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"It was changed in between: it is at revision {revision} now.", revision=revision)


def template_id(organizer: str, kind: TemplateKind, language: str) -> str:
    """The id of its record: neither kind nor language has a full stop in it."""
    return f"{kind}.{language}.{organizer}"


def store(
    known: Template | None,
    parts: Mapping[Part, str | None],
    *,
    of: tuple[str, TemplateKind, str],
    by: Principal,
    now: datetime,
    revision: int | None = None,
) -> Decision[Template]:
    """Keep these parts, which were checked, in the place of those before; all None resets it. Raises TemplateOutdated.

    `revision`: the one that whoever asks has seen.
    """
    organizer, kind, language = of
    before = 0 if known is None else known.revision
    if revision is not None and revision != before:
        raise TemplateOutdated(before)
    after = Template(
        id=template_id(organizer, kind, language),
        organizer=organizer,
        kind=kind,
        language=language,
        revision=before + 1,
        changed_at=now,
        changed_by=by.id,
        **{part.value: parts.get(part) for part in Part},
    )
    was_own = known is not None and known.is_own
    if (known is not None and all(known.source(part) == after.source(part) for part in Part)) or not (
        was_own or after.is_own
    ):
        return Decision(known or msgspec.structs.replace(after, revision=0))
    changed = TemplateChanged(
        template_id=after.id,
        organizer=organizer,
        kind=kind,
        language=language,
        revision=after.revision,
        action=TemplateChange.STORED if after.is_own else TemplateChange.RESET,
        by=by.id,
    )
    return Decision(after, (changed,))


# Rendering


def _environment(*, is_html: bool) -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        autoescape=is_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        cache_size=0,
    )
    made.globals.clear()
    made.filters = {name: made.filters[name] for name in FILTERS}
    made.tests = {}
    return made


FILTERS = (
    "capitalize", "count", "d", "default", "e", "escape", "first", "last", "length", "lower", "title", "trim",
    "truncate", "upper",
)  # fmt: skip
"""The filters that are allowed: none makes a long text of a short one, and none lets typed text be markup."""
_OF_LISTS = ("count", "length")
_OF_LOOPS = frozenset({"first", "index", "last", "length"})
_TEXT, _HTML = _environment(is_html=False), _environment(is_html=True)


@lru_cache(maxsize=256)
def compiled(part: Part, source: str) -> Compiled:
    """The template that fills in the values. Raises BrokenTemplate."""
    environment = _HTML if part is Part.HTML else _TEXT
    try:
        tree = environment.parse(source)
    except TemplateSyntaxError as error:
        raise BrokenTemplate([TemplateFault(part, error.lineno, error.message or "can't be read")]) from error
    except RecursionError as error:
        raise BrokenTemplate([TemplateFault(part, 1, "is nested too deeply")]) from error
    faults = [TemplateFault(part, *each) for each in _body(tree.body, NAMES)]
    if faults:
        raise BrokenTemplate(faults)
    return environment.from_string(tree)


def render(part: Part, source: str, values: Values) -> str:
    """The part, filled in; a subject is one line. Raises BrokenTemplate."""
    template = compiled(part, source)
    try:
        made = template.render(values)
    except (TemplateError, SecurityError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise BrokenTemplate([TemplateFault(part, _line_of(error), str(error) or type(error).__name__)]) from error
    if len(made.encode()) > MOST_BYTES:
        raise BrokenTemplate([TemplateFault(part, 1, f"makes more than {MOST_BYTES} bytes")])
    if part is Part.SUBJECT:
        made = " ".join(made.split())
        if len(made) > LONGEST_SUBJECT:
            made = f"{made[: LONGEST_SUBJECT - 1]}…"
    if not made.strip():
        raise BrokenTemplate([TemplateFault(part, 1, "says nothing")])
    return made


def check(parts: Mapping[Part, str | None], samples: Callable[[], Iterator[Values]]) -> None:
    """Could a message be made of these parts, whatever happens to an order? Raises BrokenTemplate with all faults."""
    faults: list[TemplateFault] = []
    for part, source in parts.items():
        if source is None:
            continue
        if len(source) > MOST_CHARACTERS:
            faults.append(TemplateFault(part, 1, f"has more than {MOST_CHARACTERS} characters"))
            continue
        try:
            compiled(part, source)
            for values in samples():
                render(part, source, values)
        except BrokenTemplate as broken:
            faults += broken.faults
        if part is Part.HTML:
            faults += [TemplateFault(part, *each) for each in _Page(source).faults]
    if faults:
        raise BrokenTemplate(sorted(faults, key=lambda each: (list(Part).index(each.part), each.line)))


def _line_of(error: BaseException) -> int:
    """The template's line that an error is about: Jinja2 has it in the traceback."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in ("<template>", "<unknown>"):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


# What may be in one

_Found = Iterator[tuple[int, str]]


def _body(body: list[nodes.Node], known: frozenset[str], loop: str | None = None) -> _Found:
    """What is wrong with these statements, where `known` can be named and, in a loop, its `loop` variable."""
    for node in body:
        match node:
            case nodes.Output():
                for each in node.nodes:
                    if isinstance(each, nodes.Name) and each.name in LISTS and each.name != loop:
                        yield each.lineno, f"`{each.name}` is a list: go through it with {{% for … in {each.name} %}}"
                    else:
                        yield from _expression(each, known, loop)
            case nodes.If():
                yield from _expression(node.test, known, loop)
                yield from _body([*node.body, *node.elif_, *node.else_], known, loop)
            case nodes.For() if loop is not None:
                yield node.lineno, "a loop in a loop is not for templates"
            case nodes.For():
                yield from _for(node, known)
            case _:
                yield (
                    node.lineno,
                    f"`{_named(node)}` is not for templates; there are values, {{% if %}} and {{% for %}}",
                )


def _for(node: nodes.For, known: frozenset[str]) -> _Found:
    if not isinstance(node.iter, nodes.Name) or node.iter.name not in LISTS:
        yield node.lineno, f"only these can be gone through: {', '.join(sorted(LISTS))}"
        return
    if not isinstance(node.target, nodes.Name) or node.target.name in known or node.target.name == "loop":
        yield node.lineno, "what a loop calls each one has to be one name of its own"
        return
    if node.recursive:
        yield node.lineno, "a loop in a loop is not for templates"
        return
    own = f"{node.iter.name} {node.target.name}"
    if node.test is not None:
        yield from _expression(node.test, known, own)
    yield from _body(node.body, known, own)
    yield from _body(node.else_, known)


def _expression(node: nodes.Node, known: frozenset[str], loop: str | None) -> _Found:
    of, _, each = (loop or "").partition(" ")
    match node:
        case nodes.TemplateData() | nodes.Const():
            return
        case nodes.Name() if node.name in known or (loop is not None and node.name == each):
            return
        case nodes.Name():
            yield node.lineno, f"there is no value `{node.name}`; these are: {', '.join(sorted(known))}"
        case nodes.Getattr(node=nodes.Name(name=name)) if loop is not None and name in (each, "loop"):
            has = _OF_LOOPS if name == "loop" else LISTS[of]
            if node.attr not in has:
                yield node.lineno, f"`{name}` has no `{node.attr}`; it has: {', '.join(sorted(has)) or 'nothing'}"
        case nodes.Filter():
            yield from _filter(node, known, loop)
        case nodes.Compare() | nodes.Operand() | nodes.And() | nodes.Or() | nodes.Not() | nodes.CondExpr():
            for part in node.iter_child_nodes():
                yield from _expression(part, known, loop)
        case _:
            yield node.lineno, f"`{_named(node)}` is not for templates; they fill in values and decide by them"


def _filter(node: nodes.Filter, known: frozenset[str], loop: str | None) -> _Found:
    if node.name not in FILTERS:
        yield node.lineno, f"there is no filter `{node.name}`; these are: {', '.join(FILTERS)}"
        return
    inner = node.node
    if isinstance(inner, nodes.Name) and inner.name in LISTS and node.name not in _OF_LISTS:
        yield node.lineno, f"`{inner.name}` is a list: go through it with {{% for … in {inner.name} %}}"
        return
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        yield node.lineno, f"what the filter `{node.name}` is given has to stand there"
        return
    for each in (inner, *node.args, *(keyword.value for keyword in node.kwargs)):
        if each is not None:
            yield from _expression(each, known, loop)


def _named(node: nodes.Node) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", type(node).__name__).lower()


# What a page may be

_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_DEAD = frozenset(
    {
        "applet", "audio", "base", "button", "embed", "form", "frame", "frameset", "iframe", "input", "link", "object",
        "script", "select", "textarea", "video",
    }
)  # fmt: skip
"""What readers of mail take out, or warn of."""


class _Page(HTMLParser):
    """Finds what no mail should have. What Jinja2 fills in is passed over, so that lines stay where they are."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.faults: list[tuple[int, str]] = []
        self.feed(_TAG.sub(lambda found: re.sub(r"[^\n]", "x", found[0]), source))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one tag."""
        line = self.getpos()[0]
        if tag in _DEAD:
            self.faults.append((line, f"<{tag}> works in no mail"))
        names: Mapping[str, Any] = dict(attrs)
        if tag == "img" and names.get("alt") is None:
            self.faults.append((line, "<img> has no alt text: many see mail without its pictures, or hear it"))
        for name, value in attrs:
            if name.startswith("on") or (value or "").strip().lower().startswith("javascript:"):
                self.faults.append((line, f"`{name}` would run a script, which works in no mail"))
