"""The tables of costs are what the tool computes, and the tool computes what the templates say."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.operations.infra.templates import running
from tests.served import serve
from tools.azure_costs.__main__ import GAUGES, RU_AN_ORDER, SCENES, tables
from tools.azure_costs.model import OF_AN_ORDER, PRICES, Assumed, bill, messages_of_an_order

from cludale.services.catalogue import CATALOGUE

NOBODY = Assumed(orders=0, busy_hours=0, ru_an_order=100, kb_an_order=10, log_gb=0)


def test_the_page_has_what_the_tool_prints() -> None:
    page = Path("docs/evidence/azure.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- costs: from here -->\n")[2].partition("<!-- costs: to here -->")[0]
    assert shown.strip() == tables({}).strip(), "stale: python -m tools.azure_costs"


def test_the_units_of_an_order_are_those_that_the_page_of_the_store_has() -> None:
    page = Path("docs/evidence/cosmos-db.md").read_text(encoding="utf-8")
    assert f"| **all** | | | | **{RU_AN_ORDER:.0f}** |" in page


def test_what_an_idle_process_sends_each_minute_is_what_the_logs_are_reckoned_with(tmp_path: Path) -> None:
    with serve(tmp_path) as served:
        families = list(text_string_to_metric_families(served.http.get("/metrics").text))
    assert 0 < sum(len(each.samples) for each in families if each.type == "gauge") <= GAUGES


def test_an_idle_trial_stays_far_below_the_most_that_its_logs_may_be() -> None:
    """Past it nothing more is taken: alerts and the judge of a release see nothing."""
    (workspace,) = running("dev").of("Microsoft.OperationalInsights/workspaces")
    a_day = SCENES["dev", "nobody comes"].log_gb / 30
    assert a_day < workspace.body["properties"]["workspaceCapping"]["dailyQuotaGb"] / 2


def test_every_price_says_when_and_where_it_was_found() -> None:
    shown = tables({})
    for name, price in json.loads(PRICES.read_text(encoding="utf-8"))["prices"].items():
        assert re.fullmatch(r"20\d\d-\d\d-\d\d|20\d\d(-\d\d)?, day not recorded", price["date"]), name
        assert price["date"] in shown, name
        assert len(price["source"]) > 5, name


def test_the_events_of_an_order_are_events() -> None:
    assert set(OF_AN_ORDER) <= set(CATALOGUE.types)
    assert messages_of_an_order() >= 2 * len(OF_AN_ORDER), "each is sent once and audited once"


def test_a_busier_month_costs_more() -> None:
    quiet = sum(line.usd for line in bill("prod", NOBODY))
    busy = sum(line.usd for line in bill("prod", NOBODY._replace(orders=1_000_000, busy_hours=10, log_gb=100)))
    assert busy > quiet


def test_a_price_that_is_not_in_the_table_is_not_made_up() -> None:
    with pytest.raises(ValueError, match="lacks a price"):
        bill("dev", NOBODY._replace(orders=10_000_000))
