"""The sidecars' policies: in Azure as in the file that is for everywhere, and a page that says what is not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # it has no types of its own
from tests.operations.infra.templates import ENVIRONMENTS, running
from tools.infra.resilience import FILE, FIRST_RETRY_MILLISECONDS, Policies, table

POLICIES = "Microsoft.App/managedEnvironments/daprComponents/resiliencyPolicies"
EVERYWHERE = yaml.safe_load(FILE.read_text(encoding="utf-8"))["spec"]
IN_AZURE = {"redelivery": "events", "tries": "state"}
"""Name of a policy there → target in the file."""


def seconds(text: str) -> float:
    return float(text.removesuffix("ms")) / 1000 if text.endswith("ms") else float(text.removesuffix("s"))


def changed(**target: Any) -> Policies:
    """The project's policies with another breaker."""
    document = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    document["spec"]["policies"]["circuitBreakers"]["broker"] |= target
    return Policies(document)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_azure_can_hold_is_there_as_the_file_says_it(environment: str) -> None:
    found = running(environment).of(POLICIES)
    assert {each.name for each in found} == set(IN_AZURE)
    for each in found:
        target = EVERYWHERE["targets"]["components"][IN_AZURE[each.name]]
        assert {f"{way}Policy" for way in target} == set(each.body["properties"])
        for way, wanted in target.items():
            same(wanted, each.body["properties"][f"{way}Policy"])


def same(wanted: Mapping[str, str], there: Mapping[str, Any]) -> None:
    """Read by itself, so that the translation is not compared with itself."""
    policies = EVERYWHERE["policies"]
    forms = {"timeout": "timeoutPolicy", "retry": "httpRetryPolicy", "circuitBreaker": "circuitBreakerPolicy"}
    assert set(there) == {forms[each] for each in wanted}
    assert there["timeoutPolicy"]["responseTimeoutInSeconds"] == seconds(policies["timeouts"][wanted["timeout"]])
    retry, waits = policies["retries"][wanted["retry"]], there["httpRetryPolicy"]["retryBackOff"]
    assert there["httpRetryPolicy"]["maxRetries"] == retry["maxRetries"]
    first = retry.get("duration", f"{FIRST_RETRY_MILLISECONDS}ms")
    assert waits["initialDelayInMilliseconds"] == 1000 * seconds(first)
    assert waits["maxIntervalInMilliseconds"] == 1000 * seconds(retry.get("duration") or retry["maxInterval"])
    if "circuitBreaker" in wanted:
        breaker, held = policies["circuitBreakers"][wanted["circuitBreaker"]], there["circuitBreakerPolicy"]
        assert breaker["trip"] == f"consecutiveFailures >= {held['consecutiveErrors']}"
        assert held["intervalInSeconds"] == seconds(breaker["interval"])
        assert held["timeoutInSeconds"] == seconds(breaker["timeout"])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"trip": "totalFailures >= 3"}, "counts errors in a row"),
        ({"timeout": "1500ms"}, "whole seconds, not 1500ms"),
        ({"interval": "1m"}, "no duration: 1m"),
    ],
)
def test_what_azure_would_hold_otherwise_is_refused(change: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        changed(**change).of_component("events")


def test_the_page_has_a_line_for_each_target_of_the_file() -> None:
    lines = table(Policies.read())[2:]
    targets = EVERYWHERE["targets"]
    for app in targets["apps"]:
        assert [line for line in lines if "calls to" in line and app in line and "not held" in line], app
    assert len(lines) >= sum(len(ways) for ways in targets["components"].values())
    page = Path("docs/run/resilience.md").read_text(encoding="utf-8")
    assert all(line in page for line in lines), "stale: run `make infra`"


def test_payments_breaker_is_said_to_be_missing_in_azure() -> None:
    (line,) = [line for line in table(Policies.read()) if "calls to payments" in line]
    assert "10 errors in a row" in line
    assert "not held" in line
