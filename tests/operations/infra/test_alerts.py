"""Every alert has a section in the page that says what to do, and every section is about an alert."""

import re
from pathlib import Path

from tests.operations.infra.templates import ENVIRONMENTS, running

from cludale.services import NAMES

PAGE = Path("docs/run/alerts.md")
RULES = (
    "Microsoft.Insights/metricAlerts", "Microsoft.Insights/scheduledQueryRules", "Microsoft.Consumption/budgets",
)  # fmt: skip


def _alerts(environment: str) -> set[str]:
    """Their names, as the page has them."""
    names = {each.name for type_ in RULES for each in running(environment).of(type_)}
    endings = {name.removeprefix(f"cludale-{environment}-") for name in names}
    return {re.sub(rf"^({'|'.join(NAMES)})-", "<service>-", ending) for ending in endings}


def _sections() -> list[tuple[str, str]]:
    return re.findall(r"^### `([^`]+)`\n(.*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_alert_has_a_section_and_every_section_an_alert() -> None:
    named = [name for name, _ in _sections()]
    assert len(named) == len(set(named))
    for environment in ENVIRONMENTS:
        assert _alerts(environment) == set(named), environment


def test_every_section_says_something_to_do() -> None:
    for name, text in _sections():
        assert len(text.split()) >= 15, name


def test_every_service_has_the_alerts_of_a_service() -> None:
    for environment in ENVIRONMENTS:
        names = {each.name for type_ in RULES for each in running(environment).of(type_)}
        for kind in ("errors", "restarts", "gone", "cpu", "memory"):
            assert {f"cludale-{environment}-{service}-{kind}" for service in NAMES} <= names


def test_what_is_of_no_table_yet_does_not_fail_the_deployment() -> None:
    for environment in ENVIRONMENTS:
        for rule in running(environment).of("Microsoft.Insights/scheduledQueryRules"):
            assert rule.body["properties"]["skipQueryValidation"] is True, rule.name
