"""The sidecars' policies in the words of Container Apps: what it can hold of them, and a table of what it can't.

One file says them for every place where sidecars run (docker/components/common/resiliency.yaml, which Dapr reads as it
stands). Container Apps takes policies of components alone, in a form of its own: a timeout, retries with waits that
grow, a circuit breaker that counts errors in a row. It has nothing for a call from app to app through Dapr.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped] # it has no types of its own

FILE = Path("docker/components/common/resiliency.yaml")
FIRST_RETRY_MILLISECONDS = 500
"""Dapr's own first wait of an exponential policy; Container Apps wants it said."""
BROKER, STATE = "events", "state"
"""Targets of the file that are components in Azure: the broker for all topics, and each state store."""
WAYS = ("inbound", "outbound")


class Policies:
    """What the file says."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        spec = document["spec"]
        self.apps: Mapping[str, Mapping[str, str]] = spec["targets"]["apps"]
        self.components: Mapping[str, Mapping[str, Mapping[str, str]]] = spec["targets"]["components"]
        self._timeouts: Mapping[str, str] = spec["policies"]["timeouts"]
        self._retries: Mapping[str, Mapping[str, Any]] = spec["policies"]["retries"]
        self._breakers: Mapping[str, Mapping[str, Any]] = spec["policies"]["circuitBreakers"]

    @classmethod
    def read(cls) -> "Policies":
        """The project's."""
        return cls(yaml.safe_load(FILE.read_text(encoding="utf-8")))

    def of_component(self, name: str) -> Mapping[str, Any]:
        """A component's policies, as `properties` of daprComponents/resiliencyPolicies."""
        return {f"{way}Policy": self._held(self.components[name][way]) for way in WAYS if way in self.components[name]}

    def _held(self, target: Mapping[str, str]) -> Mapping[str, Any]:
        held: dict[str, Any] = {}
        if "timeout" in target:
            held["timeoutPolicy"] = {"responseTimeoutInSeconds": _seconds(self._timeouts[target["timeout"]])}
        if "retry" in target:
            held["httpRetryPolicy"] = _retry(self._retries[target["retry"]])
        if "circuitBreaker" in target:
            breaker = self._breakers[target["circuitBreaker"]]
            held["circuitBreakerPolicy"] = {
                "consecutiveErrors": _errors_in_a_row(breaker),
                "intervalInSeconds": _seconds(breaker["interval"]),
                "timeoutInSeconds": _seconds(breaker["timeout"]),
            }
        return held

    def rows(self) -> Iterator["Row"]:
        """A line for each policy of each target, and what of it is there in Azure."""
        for name, target in self._merged_apps():
            yield Row(f"calls to {name}", self._said(target), NO_CALLS)
        for name in self.components:
            for way in WAYS:
                if way in self.components[name]:
                    target = self.components[name][way]
                    yield Row(_shown(name, way), self._said(target), self._in_azure(name, way))

    def _merged_apps(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Services with the same policies, together."""
        merged: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for name, target in self.apps.items():
            merged.setdefault(tuple(target.items()), []).append(name)
        for target_items, names in merged.items():
            yield ", ".join(names), dict(target_items)

    def _said(self, target: Mapping[str, str]) -> str:
        parts = []
        if "timeout" in target:
            parts.append(f"timeout {self._timeouts[target['timeout']]}")
        if "retry" in target:
            policy = self._retries[target["retry"]]
            waits = policy.get("duration") or f"up to {policy['maxInterval']}"
            only = " of what nobody took" if "matching" in policy else ""
            parts.append(f"{policy['maxRetries']} retries{only}, {waits} apart")
        if "circuitBreaker" in target:
            breaker = self._breakers[target["circuitBreaker"]]
            parts.append(
                f"breaker: {_errors_in_a_row(breaker)} errors in a row, open {breaker['timeout']}, then "
                f"{breaker['maxRequests']} to try"
            )
        return "; ".join(parts)

    def _in_azure(self, name: str, way: str) -> str:
        target = self.components[name][way]
        if name in (BROKER, STATE):
            return "held, but for how many try (Dapr's default: 1)" if "circuitBreaker" in target else "held"
        same = self.components[BROKER].get(way)
        if target == same:
            return f"held: it is heard through the one component `{BROKER}`"
        return f"not held: it is heard through the one component `{BROKER}`, with {self._said(same or {})}"


class Row(NamedTuple):
    """A line of the table."""

    target: str
    said: str
    in_azure: str


NO_CALLS = (
    "not held: Container Apps has [no policy for Dapr's calls]"
    "(https://learn.microsoft.com/azure/container-apps/service-discovery-resiliency); see below"
)


def table(policies: Policies) -> Sequence[str]:
    """The lines of the table."""
    return [
        "| what | on one machine, in a cluster | in Azure |",
        "| --- | --- | --- |",
        *(f"| {row.target} | {row.said} | {row.in_azure} |" for row in policies.rows()),
    ]


def _shown(name: str, way: str) -> str:
    if way == "inbound":
        return f"deliveries from `{name}`"
    return "publishing" if name == BROKER else "reads and writes of the state store"


def _retry(policy: Mapping[str, Any]) -> Mapping[str, Any]:
    """Waits grow in Azure, from the first to the longest: of a constant policy both are the same."""
    if policy["policy"] == "constant":
        first = longest = _milliseconds(policy["duration"])
    else:
        first, longest = FIRST_RETRY_MILLISECONDS, _milliseconds(policy["maxInterval"])
    return {
        "maxRetries": policy["maxRetries"],
        "retryBackOff": {"initialDelayInMilliseconds": first, "maxIntervalInMilliseconds": longest},
    }


def _errors_in_a_row(breaker: Mapping[str, Any]) -> int:
    """Raises ValueError for a breaker that counts something else, which Container Apps can't hold."""
    form = re.fullmatch(r"consecutiveFailures >= (\d+)", breaker["trip"])
    if form is None:
        raise ValueError(f"Container Apps counts errors in a row, and nothing like {breaker['trip']!r}")
    return int(form[1])


def _seconds(duration: str) -> int:
    milliseconds = _milliseconds(duration)
    if milliseconds % 1000:
        raise ValueError(f"Container Apps takes whole seconds, not {duration}")
    return milliseconds // 1000


def _milliseconds(duration: str) -> int:
    form = re.fullmatch(r"(\d+)(ms|s)", duration)
    if form is None:
        raise ValueError(f"no duration: {duration}")
    return int(form[1]) * (1000 if form[2] == "s" else 1)
