"""The on-sale workbook, releases and alerts ask for nothing that the code does not emit."""

import asyncio
import json
import re
from datetime import UTC, datetime
from inspect import cleandoc
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.operations.infra.templates import deployed
from tests.operations.telemetry.receiver import Receiver
from tests.operations.telemetry.test_one_order import buy, wait_for
from tests.product.adapters.cosmos.double import KEY, running_double
from tests.served import Served

from cludale.adapters.cosmos import layout
from cludale.adapters.cosmos.store import CosmosStore
from cludale.kernel.wire import Codec
from cludale.services.catalogue import CATALOGUE
from cludale.wiring.stores import CONTAINERS
from cludale_operations.release.azure_commands import dead_letters, slowest_requests
from cludale_operations.telemetry.measures import Measures

pytestmark = pytest.mark.slow

WORKBOOK = Path(__file__).parents[3] / "infra/workbooks/on-sale.workbook.json"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUERIES = {
    item["name"]: item["content"]["query"]
    for item in json.loads(WORKBOOK.read_text())["items"]
    if "query" in item["content"]
} | {"of a release: times": slowest_requests(NOW), "of a release: dead letters": dead_letters(NOW)}
QUERIES |= {
    f"of the alert {rule.name}": cleandoc(each["query"])
    for rule in deployed("prod").of("Microsoft.Insights/scheduledQueryRules")
    for each in rule.body["properties"]["criteria"]["allOf"]
}
BUILT_IN = {
    "customMetrics": {"timestamp", "name", "value", "valueSum", "valueCount", "customDimensions", "cloud_RoleName"},
    "requests": {
        "timestamp", "name", "duration", "success", "resultCode", "itemCount", "customDimensions", "cloud_RoleName",
        "cloud_RoleInstance", "operation_Id",
    },
    "AppRequests": {"Name", "DurationMs", "ItemCount", "AppRoleName"},
    "AppMetrics": {"Name", "Sum", "AppRoleName"},
    "ContainerAppSystemLogs": {"Reason", "ContainerAppName"},
    "CDBPartitionKeyStatistics": {"SizeKb", "CollectionName", "PartitionKey"},
}  # fmt: skip
"""The columns of the tables that the queries may use."""
WORDS = {
    "and", "asc", "avg", "bin", "by", "count", "countif", "desc", "extend", "extract", "false", "iff", "in",
    "matches", "max", "null", "or", "order", "percentile", "percentilew", "project", "real", "regex", "round",
    "startswith", "strcat", "sum", "sumif", "summarize", "toint", "top", "tostring", "where",
}  # fmt: skip


@pytest.fixture(scope="module")
def shown(watched: Served, receiver: Receiver) -> dict[str, set[str]]:
    """What the server shows at /metrics: names and labels."""
    wait_for(receiver, buy(watched))
    families = {
        family.name: {label for sample in family.samples for label in sample.labels}
        for family in text_string_to_metric_families(watched.http.get("/metrics").text)
    }
    for measure in vars(Measures()).values():
        (family,) = measure.describe()
        assert family.name in families
        families[family.name] |= set(measure._labelnames)  # noqa: SLF001 - said nowhere else of one without values
    for written in asyncio.run(_shown_of_cosmos()):
        name, _, labels = written.partition("{")
        families.setdefault(name.removesuffix("_total"), set()).update(re.findall(r"(\w+)=", labels))
    return families


async def _shown_of_cosmos() -> list[str]:
    """What a store in Cosmos DB shows; the server here is over SQLite."""
    async with running_double() as double:
        container = CONTAINERS[0]
        store = CosmosStore(double.endpoint, KEY, Codec(CATALOGUE), container, database=layout.DATABASE)
        await store.start()
        try:
            return list(store.gauges())
        finally:
            await store.close()


@pytest.mark.parametrize("title", QUERIES)
def test_each_metric_and_label_is_one_that_is_emitted(title: str, shown: dict[str, set[str]]) -> None:
    query = QUERIES[title]
    if not query.startswith(("customMetrics", "AppMetrics")):
        return
    names = re.findall(r'"(cludale_\w+)"', query)
    assert names
    for name in names:
        assert name in shown, f"no such metric: {name}"
        assert set(re.findall(r"(?:customDimensions|Properties)\.(\w+)", query)) <= shown[name]


@pytest.mark.parametrize("title", QUERIES)
def test_each_event_is_in_the_catalogue(title: str) -> None:
    names = set(re.findall(r'"([A-Z][a-z]+[A-Z]\w+)"', QUERIES[title]))
    assert names <= set(CATALOGUE.types)


@pytest.mark.parametrize("title", QUERIES)
def test_each_span_and_attribute_is_one_that_is_emitted(title: str, watched: Served, receiver: Receiver) -> None:
    query = QUERIES[title]
    if not query.startswith(("requests", "AppRequests")):
        return
    wait_for(receiver, buy(watched))
    names = {span.name for span in receiver.spans}
    attributes = {name for span in receiver.spans for name in span.attributes}
    for exact in re.findall(r'[Nn]ame [!=]= "([^"]+)"', query):
        assert exact in names
    for start in re.findall(r'[Nn]ame startswith "([^"]+)"', query):
        assert any(name.startswith(start) for name in names)
    for form in re.findall(r'[Nn]ame matches regex "([^"]+)"', query):
        assert {name for name in names if re.search(form, name)} == {name for name in names if " /" in name}
    assert set(re.findall(r'customDimensions\["([^"]+)"\]', query)) <= attributes


@pytest.mark.parametrize("title", QUERIES)
def test_each_column_is_the_tables_own_or_made_in_the_query(title: str) -> None:
    query = QUERIES[title]
    table = query.partition("\n")[0]
    bare = re.sub(r'"[^"]*"|(?:customDimensions|Properties)\.\w+|datetime\([^)]+\)', " ", query.partition("\n")[2])
    made = set(re.findall(r"(\w+) =(?![=~])", bare))
    used = set(re.findall(r"\b[A-Za-z_]\w*\b", re.sub(r"\b\d+\w*\b", " ", bare)))
    assert used - made - WORDS - BUILT_IN[table] == set()


def test_the_workbook_is_one_that_application_insights_reads() -> None:
    workbook = json.loads(WORKBOOK.read_text())
    assert workbook["version"] == "Notebook/1.0"
    names = [item["name"] for item in workbook["items"]]
    assert len(names) == len(set(names))
    for item in workbook["items"]:
        if item["type"] == 3:
            assert item["content"]["version"] == "KqlItem/1.0"
            assert item["content"]["timeContextFromParameter"] == "TimeRange"


def test_what_is_asked_of_the_broker_itself_is_what_alerts_ask_too() -> None:
    items = json.loads(WORKBOOK.read_text())["items"]
    asked = {each["metric"] for item in items if item["type"] == 10 for each in item["content"]["metrics"]}
    known = {
        f"{each['metricNamespace'].lower()}--{each['metricName']}"
        for alert in deployed("prod").of("Microsoft.Insights/metricAlerts")
        for each in alert.body["properties"]["criteria"].get("allOf", [])
    }
    assert asked == {"microsoft.servicebus/namespaces--ActiveMessages"}
    assert asked <= known
