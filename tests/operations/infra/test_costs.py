"""The table of costs is what the tool computes, and the tool computes what the templates say."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.operations.infra.templates import running
from tests.served import serve
from tools.azure_costs.__main__ import (
    GAUGES,
    OF_AN_ORDER,
    PRICES,
    RU_AN_ORDER,
    SCENES,
    messages_of_an_order,
    metrics_gb,
    month,
    table,
)  # fmt: skip

from cludale.services.catalogue import CATALOGUE

pytestmark = pytest.mark.slow


def test_the_page_has_what_the_tool_prints() -> None:
    page = Path("docs/evidence/azure.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- costs: from here -->\n")[2].partition("<!-- costs: to here -->")[0]
    assert shown.strip() == table().strip(), "stale: python -m tools.azure_costs"


def test_the_units_of_an_order_are_those_that_the_page_of_the_store_has() -> None:
    page = Path("docs/evidence/cosmos-db.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| \*\*all\*\* \| \*\*\d+\*\* \| \*\*{RU_AN_ORDER:.0f}\*\* \|", page, re.MULTILINE)


def test_what_an_idle_process_sends_each_minute_is_what_the_logs_are_reckoned_with(tmp_path: Path) -> None:
    with serve(tmp_path) as served:
        families = list(text_string_to_metric_families(served.http.get("/metrics").text))
    assert 0 < sum(len(each.samples) for each in families if each.type == "gauge") <= GAUGES


def test_an_idle_trial_stays_far_below_the_most_that_its_logs_may_be() -> None:
    """Past it nothing more is taken: alerts and the judge of a release see nothing."""
    for environment in ("dev", "staging"):
        (workspace,) = running(environment).of("Microsoft.OperationalInsights/workspaces")
        a_day = (SCENES[f"{environment}, nobody comes"].log_gb + metrics_gb(environment)) / 30
        assert a_day < workspace.body["properties"]["workspaceCapping"]["dailyQuotaGb"] / 2


def test_every_price_is_used_and_says_where_it_was_found() -> None:
    source = Path("tools/azure_costs/__main__.py").read_text(encoding="utf-8")
    for name, price in json.loads(PRICES.read_text(encoding="utf-8"))["prices"].items():
        assert f'"{name}"' in source or name.startswith(("bus_", "registry_")), name
        assert price["date"], name
        assert len(price["source"]) > 5, name


def test_the_events_of_an_order_are_events() -> None:
    assert set(OF_AN_ORDER) <= set(CATALOGUE.types)
    assert messages_of_an_order() >= 2 * len(OF_AN_ORDER), "each is sent once and audited once"


def test_a_busier_month_costs_more_and_a_smaller_environment_less() -> None:
    most = {name: sum(high for _, high in month(scene).values()) for name, scene in SCENES.items()}
    assert list(most.values()) == sorted(most.values())


def test_the_budget_is_more_than_a_month_in_which_nobody_comes() -> None:
    for name, scene in SCENES.items():
        (budget,) = running(scene.environment).of("Microsoft.Consumption/budgets")
        assert budget.body["properties"]["amount"] > sum(high for _, high in month(scene).values()), name
