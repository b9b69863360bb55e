"""The command lines of azure-cli that a release uses, as lists of words. Pure; a test has the real one parse each."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from cludale_operations.release.azure_words import AzureWords, Words

INSIGHTS = "https://api.applicationinsights.io"

REPLICA = "^(.*--[a-z0-9-]+)-[a-z0-9]+-[a-z0-9]+-[0-9]+$"
"""A process's name: its replica's, which begins with its revision's, and its number."""

WAITING_ROUTE = "GET /orders/{}"
"""With `?wait=` it is slow on purpose, and the queries of requests are not recorded."""

MOST_SERIES = 100
"""How many series of a metric are asked for: some 15 revisions have five kinds of status each. Without this azure-cli
gives ten."""


class Names(NamedTuple):
    """What the resources are called."""

    resource_group: str
    environment: str
    """Of the container apps."""
    service_bus: str
    """The namespace."""
    insights_app: str
    """Application Insights' application id."""
    subscription: str | None = None


class Replicas(NamedTuple):
    """How many of a revision."""

    least: int
    most: int


class Commands(AzureWords):
    """Builds them for one resource group."""

    def __init__(self, names: Names) -> None:
        super().__init__(names.resource_group, names.subscription)
        self._names = names

    def show(self, service: str) -> Words:
        """The app: its traffic, its id."""
        return self._app("show", service=service)

    def revisions(self, service: str) -> Words:
        """All of its revisions, those that are stopped too."""
        return self._app("revision", "list", "--all", service=service)

    def update(
        self, service: str, image: str, suffix: str, variables: Mapping[str, str], replicas: Replicas | None = None
    ) -> Words:
        """A new revision of another image that takes no events; `variables` besides; with as many replicas as the
        app's template, or these.

        All variables of events are said: what was deployed last may have been a canary.
        """
        words = ("update", "--image", image, "--revision-suffix", suffix, *_replicas(replicas))
        events = {"CLUDALE_CONSUME": "0", "CLUDALE_CONSUME_MOST": "0"}
        return self._app(*words, *_setting({**events, **variables}), service=service)

    def copy(
        self,
        service: str,
        revision: str,
        image: str,
        suffix: str,
        variables: Mapping[str, str],
        *,
        most: int = 0,
        replicas: Replicas | None = None,
    ) -> Words:
        """A new revision like this one that takes events, `most` a process; `variables` besides; with as many replicas
        as it, or these.

        The image has to be said, and any variable that may differ: with variables to set, azure-cli takes the
        container of the app's present template, which is what was deployed last, whoever did that, and not the
        revision's.
        """
        words = ("revision", "copy", "--from-revision", revision, "--image", image, "--revision-suffix", suffix)
        events = {"CLUDALE_CONSUME": "1", "CLUDALE_CONSUME_MOST": str(most)}
        return self._app(*words, *_replicas(replicas), *_setting({**events, **variables}), service=service)

    def activate(self, service: str, revision: str) -> Words:
        """Run it again."""
        return self._app("revision", "activate", "--revision", revision, service=service)

    def deactivate(self, service: str, revision: str) -> Words:
        """Stop it."""
        return self._app("revision", "deactivate", "--revision", revision, service=service)

    def label(self, service: str, label: str, revision: str) -> Words:
        """Give it the label."""
        words = ("revision", "label", "add", "--label", label, "--revision", revision, "--yes")
        return self._app(*words, service=service)

    def swap(self, service: str, one: str, other: str) -> Words:
        """Let two labels change places."""
        return self._app("revision", "label", "swap", "--source", one, "--target", other, service=service)

    def traffic(self, service: str, weights: Mapping[str, int]) -> Words:
        """Split the traffic. All that has any has to be named: the others' shares would be scaled."""
        split = [f"{revision}={weight}" for revision, weight in weights.items()]
        return self._app("ingress", "traffic", "set", "--revision-weight", *split, service=service)

    def routes(self) -> Words:
        """The environment's addresses."""
        return self._environment("list")

    def set_route(self, verb: str, address: str, file: str) -> Words:
        """An address of the environment by a file of rules; `verb` is create or update."""
        return self._environment(verb, "--http-route-config-name", address, "--yaml", file)

    def _environment(self, *words: str) -> Words:
        names = self._names
        where = ("--name", names.environment, "--resource-group", names.resource_group)
        return self._json("containerapp", "env", "http-route-config", *words, *where)

    def requests(self, app_id: str, since: datetime, until: datetime) -> Words:
        """What the ingress counted of an app's requests, by revision and kind of status."""
        times = ("--start-time", _time(since), "--end-time", _time(until), "--interval", "PT1M")
        what = ("--metrics", "Requests", "--aggregation", "Total")
        split = ("--filter", "revisionName eq '*' and statusCodeCategory eq '*'")
        most = ("--top", str(MOST_SERIES))
        return self._json("monitor", "metrics", "list", "--resource", app_id, *what, *split, *most, *times)

    def query(self, kusto: str) -> Words:
        """A query of Application Insights."""
        url = f"{INSIGHTS}/v1/apps/{self._names.insights_app}/query"
        sent = ("--headers", "Content-Type=application/json", "--body", json.dumps({"query": kusto}))
        return self._json("rest", "--method", "post", "--url", url, "--resource", INSIGHTS, *sent)

    def subscriptions(self, topic: str) -> Words:
        """A topic's subscriptions, with what waits in each."""
        names = self._names
        where = ("--namespace-name", names.service_bus, "--resource-group", names.resource_group)
        return self._json("servicebus", "topic", "subscription", "list", "--topic-name", topic, *where)


def _setting(variables: Mapping[str, str]) -> Words:
    return ["--set-env-vars", *(f"{name}={value}" for name, value in variables.items())]


def _replicas(wanted: Replicas | None) -> Words:
    return [] if wanted is None else ["--min-replicas", str(wanted.least), "--max-replicas", str(wanted.most)]


def slowest_requests(since: datetime) -> str:
    """How long requests took, by revision, and how many are recorded.

    Handled events are requests there, too, but have no path as their name.
    """
    return (
        "requests\n"
        f"| where timestamp > datetime({_time(since)})\n"
        f'| where name matches regex "^(GET|POST) /" and name != "{WAITING_ROUTE}"\n'
        f'| extend revision = extract("{REPLICA}", 1, cloud_RoleInstance)\n'
        "| summarize p99 = percentilew(duration, itemCount, 99), recorded = count() by revision"
    )


def dead_letters(since: datetime) -> str:
    """How many events all services have put aside since then. Each point is what came since the one before."""
    return (
        "customMetrics\n"
        f'| where timestamp > datetime({_time(since)}) and name == "cludale_dead_letters"\n'
        "| summarize buried = sum(valueSum)"
    )


def handler_outcomes(since: datetime) -> str:
    """What became of events in the handlers of each revision since then."""
    return (
        "customMetrics\n"
        f'| where timestamp > datetime({_time(since)}) and name == "cludale_handler_outcomes"\n'
        "| extend service = tostring(customDimensions.service), type = tostring(customDimensions.type)\n"
        "| extend outcome = tostring(customDimensions.outcome), revision = tostring(customDimensions.revision)\n"
        "| summarize events = sum(valueSum) by service, revision, type, outcome"
    )


def route_rules(paths: Mapping[str, Sequence[str]], label: str) -> bytes:
    """The rules of an address where a label's revisions answer: JSON, which is YAML."""
    rules = [
        {
            "description": service,
            "routes": [{"match": {"pathSeparatedPrefix": path}} for path in of_service],
            "targets": [{"containerApp": service, "label": label}],
        }
        for service, of_service in paths.items()
    ]
    return json.dumps({"rules": rules}).encode()


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
