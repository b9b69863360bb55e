"""Templates of organizers: what they can say, what is refused with its place, and what they can never reach."""

import pytest
from msgspec.structs import replace
from tests.product.services.notifications.conftest import LETTERS, World
from tests.product.services.notifications.test_notifications import delivered, paid

from cludale.kernel.events import Cause
from cludale.kernel.principals import Principal, PrincipalKind, Scope
from cludale.ports.contacts import Contact
from cludale.services.notifications import templates
from cludale.services.notifications.events import TemplateChange, TemplateChanged, TemplateKind
from cludale.services.notifications.letters import letter_of, source
from cludale.services.notifications.service import Notifications
from cludale.services.notifications.templates import BrokenTemplate, Part, TemplateOutdated
from cludale.services.notifications.words import NAMES

BY = Principal(kind=PrincipalKind.KEY, id="key-1", organizer="default", scopes=frozenset({Scope.CATALOGUE}))
CONFIRMATION = TemplateKind.CONFIRMATION


def faults(part: Part, written: str, kind: TemplateKind = CONFIRMATION) -> list[str]:
    try:
        LETTERS.check(kind, {part: written}, language="en")
    except BrokenTemplate as broken:
        return [str(each) for each in broken.faults]
    return []


def test_every_value_can_be_named() -> None:
    values = LETTERS.sample(CONFIRMATION, "de")
    assert values.keys() == NAMES
    lists = {"rows", "lines"}
    written = " ".join(f"{{{{ {name} }}}}" for name in sorted(NAMES - lists))
    written += (
        "{% for row in rows if row.value %}{{ loop.index }} {{ row.label|upper }}{{ row.value }}{% else %}-{% endfor %}"
    )
    written += "{% for each in lines %}{{ each|truncate(20) }}{% endfor %}{{ rows|length }}"
    assert faults(Part.TEXT, written) == []


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("a\n{{ nmae }}", "line 2: there is no value `nmae`"),
        ("a\nb\n{% if name %}", "line 3: Unexpected end of template"),
        ("{{ name", "line 1: unexpected end of template"),
        ("\n{{ rows }}", "line 2: `rows` is a list"),
        ("{{ rows|first }}", "line 1: `rows` is a list"),
        ("{% for row in rows %}{{ row.prise }}{% endfor %}", "line 1: `row` has no `prise`; it has: label, value"),
        ("{% for each in lines %}{{ each.value }}{% endfor %}", "line 1: `each` has no `value`; it has: nothing"),
        ("{{ name|safe }}", "line 1: there is no filter `safe`"),
        ("{{ seats < name }}", "line 1: '<' not supported"),
        ("{{ name|truncate('x') }}", "line 1: "),
        ("   ", "line 1: says nothing"),
        ("{% for a in rows %}{% for b in rows %}{% endfor %}{% endfor %}", "line 1: a loop in a loop"),
        ("{% for a in name %}{% endfor %}", "line 1: only these can be gone through: lines, rows"),
        ("{% for name in rows %}{% endfor %}", "line 1: what a loop calls each one"),
        ("{% for a in rows recursive %}{% endfor %}", "line 1: a loop in a loop"),
    ],
)
def test_what_is_broken_is_named_with_its_place(written: str, said: str) -> None:
    found = faults(Part.TEXT, written)
    assert found
    assert found[0].startswith(said)


@pytest.mark.parametrize(
    "written",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ name.__class__ }}",
        "{{ name['__class__'] }}",
        "{{ name|attr('__class__') }}",
        "{{ self }}",
        "{{ self.__init__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ cycler }}",
        "{{ namespace() }}",
        "{{ range(10) }}",
        "{{ name.upper() }}",
        "{{ loop.index }}",
        "{% for row in rows %}{{ loop.cycle('a') }}{% endfor %}",
        "{% for row in rows %}{{ row.items }}{% endfor %}",
        "{% for row in rows %}{{ row.label.__class__ }}{% endfor %}",
        "{% include 'letter.html' %}",
        "{% import 'letter.html' as x %}",
        "{% extends 'letter.html' %}",
        "{% macro a() %}{% endmacro %}",
        "{% set a = name %}",
        "{% block a %}{% endblock %}",
        "{% filter upper %}a{% endfilter %}",
        "{% call name() %}{% endcall %}",
        "{% with a = name %}{{ a }}{% endwith %}",
        "{% autoescape false %}{{ name }}{% endautoescape %}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ name ~ name }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ name|center(1000000000) }}",
        "{{ name|map('upper') }}",
        "{{ [1, 2] }}",
        "{{ {'a': 1} }}",
        "{{ name[0] }}",
        "{{ name is string }}",
        "{{ name|truncate(*rows) }}",
        "{{ " + "(" * 5_000 + "name" + ")" * 5_000 + " }}",
    ],
)
def test_nothing_can_be_reached_or_made_large_but_the_values(written: str) -> None:
    for part in (Part.TEXT, Part.HTML, Part.SUBJECT):
        assert faults(part, written), written


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("<p>\n<img src='a'></p>", "line 2: <img> has no alt text"),
        ("<p>\n\n<script>1</script></p>", "line 3: <script> works in no mail"),
        ("<p onclick='x'>a</p>", "line 1: `onclick` would run a script"),
        ("<a href=' JavaScript:x'>a</a>", "line 1: `href` would run a script"),
        ("{% if name %}\n<form>\n{% endif %}a", "line 2: <form> works in no mail"),
    ],
)
def test_a_page_that_mail_can_t_show_is_refused_with_its_place(written: str, said: str) -> None:
    (found,) = faults(Part.HTML, written)
    assert found.startswith(said)


def test_what_is_too_long_is_refused() -> None:
    assert faults(Part.TEXT, "a" * (templates.MOST_CHARACTERS + 1)) == ["line 1: has more than 60000 characters"]
    assert faults(Part.HTML, "{{ name }}ä" + "€" * 40_000) == ["line 1: makes more than 100000 bytes"]


def test_typed_text_is_no_markup_and_a_subject_is_one_line() -> None:
    values = {**LETTERS.sample(CONFIRMATION, "en"), "name": "<b>&\n\"x'"}
    assert templates.render(Part.HTML, "{{ name }}", values) == "&lt;b&gt;&amp;\n&#34;x&#39;"
    assert templates.render(Part.TEXT, "{{ name }}", values) == "<b>&\n\"x'"
    assert templates.render(Part.SUBJECT, "{{ name }}\r\nBcc: a", values) == "<b>& \"x' Bcc: a"
    assert len(templates.render(Part.SUBJECT, "{{ name }}" + "x" * 500, values)) == templates.LONGEST_SUBJECT


async def stored(service: Notifications, **parts: str) -> None:
    given = {Part(name): written for name, written in parts.items()}
    await service.templates.store(BY, CONFIRMATION, "de", given, revision=None, cause=Cause())


async def test_an_organizer_s_words_go_out_to_those_who_read_the_language(world: World) -> None:
    service = world.notifications()
    await stored(service, subject="Hallo {{ name }}!", html="<p>{{ concert }}: {{ seats }}</p>")
    world.contacts.known = {
        "order-1": Contact("a@example.org", name="Ä", language="de"),
        "order-2": Contact("b@example.org", language="fr"),
    }
    await service.handle(delivered(paid("order-1", reachable=True), paid("order-2", reachable=True)))
    await world.settled()
    own, other = sorted(world.mailer.sent, key=lambda each: each.to)
    assert (own.subject, own.html) == ("Hallo Ä!", "<p>Coldplay: 2</p>")
    assert "Guten Tag Ä," in own.text  # the platform's, for it was not given
    assert other.subject.startswith("Vos billets : ")
    assert (own.language, other.language) == ("de", "fr")


async def test_the_organizer_s_language_is_for_those_of_whom_none_is_known(world: World) -> None:
    service = world.notifications()
    world.contacts.known = {"order-1": Contact("a@example.org"), "order-2": Contact("b@example.org", language="en")}
    await service.templates.speak(BY, "es")
    await service.handle(delivered(paid("order-1", reachable=True), paid("order-2", reachable=True)))
    await world.settled()
    assert sorted(each.language or "" for each in world.mailer.sent) == ["en", "es"]


async def test_a_template_is_changed_reset_and_told_of(world: World) -> None:
    service = world.notifications()
    await stored(service, subject="One")
    await stored(service, subject="One")  # again changes nothing
    await stored(service, subject="Two")
    with pytest.raises(TemplateOutdated):
        await service.templates.store(BY, CONFIRMATION, "de", {Part.TEXT: "x"}, revision=1, cause=Cause())
    with pytest.raises(BrokenTemplate):
        await stored(service, subject="{{ x }}")
    assert (await service.templates.one("default", CONFIRMATION, "de")).source(Part.SUBJECT) == "Two"
    assert not (await service.templates.one("other", CONFIRMATION, "de")).is_own(Part.SUBJECT)
    for _ in range(2):
        shown = await service.templates.store(BY, CONFIRMATION, "de", {}, revision=None, cause=Cause())
        assert shown.source(Part.SUBJECT) == source(Part.SUBJECT)
    told = [each for each in await world.events() if isinstance(each, TemplateChanged)]
    assert [(each.revision, each.action) for each in told] == [
        (1, TemplateChange.STORED),
        (2, TemplateChange.STORED),
        (3, TemplateChange.RESET),
    ]


async def test_a_template_that_can_t_be_filled_in_after_all_loses_no_message(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    service = world.notifications()
    await stored(service, subject="Own")
    kept = (await service.templates.one("default", CONFIRMATION, "de")).own
    assert kept is not None
    broken = replace(kept, subject="{{ gone }}")  # as an earlier version may have had a value that is gone
    with pytest.raises(BrokenTemplate):
        letter_of(LETTERS.sample(CONFIRMATION, "de"), broken)
    await service.handle(delivered(paid()))
    (notification,) = (await world.settled()).values()
    before = LETTERS.unusable
    made = LETTERS.email(notification, Contact("a@example.org", name="Zoë"), None, broken, language="de")
    assert made.subject.startswith("Ihre Tickets: ")
    assert LETTERS.unusable == before + 1
    assert "confirmation.de.default can't be used: subject, line 1: there is no value `gone`" in caplog.text
    assert "Zoë" not in caplog.text
