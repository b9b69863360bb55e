"""The files that list the services, their topics or events: `make infra` brings them up to date.

What is the same for each service is made anew, between marks where the file has other things too. What somebody decided
for one service (a circuit breaker, throughput) stays, and a new service gets a line with what is usual.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import yaml  # type: ignore[import-untyped] # it has no types of its own
from tools.infra.keys_page import keys_page
from tools.infra.resilience import FILE as RESILIENCY
from tools.infra.resilience import Policies, table

from cludale.adapters.dapr.subscriptions import topics_heard
from cludale.services import NAMES
from cludale.services.catalogue import CATALOGUE, HEARS
from cludale.wiring.stores import STATE_STORE_USERS
from cludale_operations.local.jetstream import ACK_WAIT_SECONDS, MAX_ACK_PENDING, STREAM

COMPONENTS = Path("docker/components")
TOPICS = [topic.name for topic in CATALOGUE.topics]
OWN_SETTINGS = {
    "concerts": (
        "# `state`: what is read by id alone is kept in the Dapr state store of that name, not in concerts' own schema",
        "CLUDALE_CONCERTS_STATE: ${CLUDALE_CONCERTS_STATE:-}",
    ),
    "audit": (
        "# `state`: the log is kept in the Dapr state store of that name instead of audit's own schema",
        "CLUDALE_AUDIT_STATE: ${CLUDALE_AUDIT_STATE:-}",
    ),
}
"""Service → what its environment in the compose file has beside that of all."""
BEGINS, ENDS = "# made by `make infra` from here on", "# made by `make infra` up to here"

TOPIC = """\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: {name}
spec:
  type: pubsub.jetstream
  version: v1
  metadata:
    - name: natsURL
      secretKeyRef: {{name: broker-url, key: broker-url}}
    - name: name
      value: "{{appID}} {name}"
    - name: streamName
      value: {stream}
    - name: durableName
      value: "{{appID}}-{name}"
    - name: queueGroupName
      value: "{{appID}}-{name}"
    - name: ackPolicy
      value: explicit
    - name: ackWait
      value: {ack_wait}s
    - name: maxAckPending
      value: "{at_once}"
    - name: concurrency
      value: single
auth:
  secretStore: secrets
scopes: {scopes}
"""

CONTAINERS = """\
  {name}-pod:
    <<: *pod
    networks: {{default: {{aliases: [{name}]}}}}

  {name}:
    <<: *service
    network_mode: service:{name}-pod
    depends_on: {{<<: *ready, {name}-pod: {{condition: service_started}}}}
    command: [serve, {name}]
    environment:
      <<: *environment
      APP_ID: {name}
{own}
  {name}-sidecar:
    <<: *sidecar
    network_mode: service:{name}-pod
    depends_on: [{name}-pod, {name}]
    command:
      - --app-id={name}
      - --app-port=8080
      - --dapr-http-port=3500
      - --dapr-listen-addresses=127.0.0.1
      - --dapr-graceful-shutdown-seconds=5
      - --enable-app-health-check
      - --app-health-check-path=/dapr/healthz
      - --app-health-probe-interval=1
      - --resources-path=/components/common
      - --resources-path=/components/nats
      - --config=/config.yaml
"""

APP = """\
  - appID: {name}
    appDirPath: .
    appPort: {port}
    daprHTTPPort: {dapr_port}
    enableAppHealthCheck: true
    command: [.venv/bin/cludale, serve, {name}]
    env: {{CLUDALE_PORT: "{port}"}}
"""


def made() -> Mapping[Path, str]:
    """What each of the files is to have, given what it has."""
    return {path: make(path.read_text(encoding="utf-8")) for path, make in _MAKERS.items()}


def _scopes(component: str) -> str:
    """Who may use this component."""
    if component in TOPICS:
        users: Sequence[str] = [name for name in NAMES if component in topics_heard(CATALOGUE, HEARS[name])]
    else:
        users = STATE_STORE_USERS if component == "state" else NAMES
    return f"[{', '.join(users)}]"


def _scoped(text: str) -> str:
    """The same components, each with its users."""
    documents = []
    for document in text.split("---\n"):
        named = re.search(r"^metadata:\n  name: (\S+)$", document, re.MULTILINE)
        scopes = "" if named is None else f"scopes: {_scopes(named[1])}"
        documents.append(re.sub(r"^scopes: \[.*\]$", scopes, document, flags=re.MULTILINE))
    return "---\n".join(documents)


def _between_marks(text: str, content: str) -> str:
    form = re.compile(rf"^( *{re.escape(BEGINS)}\n).*?^( *{re.escape(ENDS)}\n)", re.MULTILINE | re.DOTALL)
    if len(form.findall(text)) != 1:
        raise ValueError(f"wanted are the marks {BEGINS!r} and {ENDS!r}, once each")
    return form.sub(lambda found: found[1] + content + found[2], text)


def _with_entries(text: str, opening: str, names: Sequence[str], entry: Callable[[str], Sequence[str]]) -> str:
    """The text with an `entry` for each of the names that has none below the line `opening`, behind the others."""
    lines = text.split("\n")
    start = next(at for at, line in enumerate(lines) if line.strip() == opening) + 1
    depth = len(lines[start]) - len(lines[start].lstrip())
    present: dict[str, int] = {}
    """Name → the line behind its entry."""
    last = None
    for at in range(start, len(lines)):
        indent = len(lines[at]) - len(lines[at].lstrip())
        if lines[at].strip() and indent < depth:
            break
        named = re.match(r"([\w-]+):", lines[at].lstrip()) if indent == depth else None
        last = named[1] if named else (last if indent > depth else None)
        if last is not None:
            present[last] = at + 1
    behind = max((at for name, at in present.items() if name in names), default=start)
    added = [f"{' ' * depth}{line}" for name in names if name not in present for line in entry(name)]
    return "\n".join([*lines[:behind], *added, *lines[behind:]])


def _nats(text: str) -> str:
    """Through which component each topic is heard."""
    streams = dict.fromkeys(TOPICS, STREAM) | {"dead-letters": '"{appID}-dead-letters"'}
    components = [
        TOPIC.format(name=name, stream=stream, ack_wait=ACK_WAIT_SECONDS, at_once=MAX_ACK_PENDING, scopes=_scopes(name))
        for name, stream in streams.items()
    ]
    return "---\n".join([_scoped(text.split("---\n", maxsplit=1)[0]), *components])


def _resiliency(text: str) -> str:
    """Calls to each service end, and each topic's deliveries are tried again."""
    usual = ["inbound: {timeout: handler, retry: handler}"]
    text = _with_entries(
        text, "apps:", NAMES, lambda name: [f"{name}: {{timeout: call, retry: call, circuitBreaker: call}}"]
    )
    text = _with_entries(text, "components:", TOPICS, lambda name: [f"{name}:", *(f"  {line}" for line in usual)])
    return _scoped(text)


def _policies(text: str) -> str:
    """The table of what Container Apps holds of the sidecars' policies."""
    begins, ends = "<!-- policies: from here -->\n", "<!-- policies: to here -->\n"
    head, _, rest = text.partition(begins)
    _, _, tail = rest.partition(ends)
    # the file as it will be: one run writes both
    policies = Policies(yaml.safe_load(_resiliency(RESILIENCY.read_text(encoding="utf-8"))))
    return "".join([head, begins, "\n", *(f"{line}\n" for line in table(policies)), "\n", ends, tail])


def _compose(text: str) -> str:
    """A pod, a service and a sidecar for each."""
    text = re.sub(
        r"^    depends_on: \[(?!.*-pod).*\]$", f"    depends_on: [{', '.join(NAMES)}]", text, flags=re.MULTILINE
    )
    return _between_marks(text, "\n" + "\n".join(_containers()) + "\n")


def _containers() -> Iterator[str]:
    for name in NAMES:
        own = "".join(f"      {line}\n" for line in OWN_SETTINGS.get(name, ()))
        yield CONTAINERS.format(name=name, own=own)


def _dapr_run(text: str) -> str:
    """An app for each, with ports of its own."""
    apps = [APP.format(name=name, port=8081 + at, dapr_port=3501 + at) for at, name in enumerate(NAMES)]
    return _between_marks(text, "".join(apps))


def _gateway(_: str) -> str:
    """Each service's address in the compose file."""
    services = {name: {"backends": [{"url": f"http://{name}:8080"}]} for name in NAMES}
    return json.dumps({"services": services}, indent=2) + "\n"


def _throughput(opening: str) -> Callable[[str], str]:
    """The most request units of each container."""
    return lambda text: _with_entries(text, opening, NAMES, lambda name: [f"{name}: 1000"])


def _events(text: str) -> str:
    """The table of events: who publishes and who hears each. What it says of one stays."""
    row = re.compile(r"^\| `(\w+)` \| [^|]* \| [^|]* \| (.*) \|\n", re.MULTILINE)
    said = dict(row.findall(text))
    rows = []
    for topic in CATALOGUE.topics:
        for event in topic.events:
            name = event.__name__
            hearers = ", ".join(service for service in NAMES if name in HEARS[service])
            says = said.get(name) or (event.__doc__ or "").partition("\n")[0]
            rows.append(f"| `{name}` | {topic.source} | {hearers} | {says} |\n")
    begin = next(row.finditer(text)).start()
    return text[:begin] + "".join(rows) + row.sub("", text[begin:])


_MAKERS: Mapping[Path, Callable[[str], str]] = {
    COMPONENTS / "nats/pubsub.yaml": _nats,
    COMPONENTS / "rabbitmq/pubsub.yaml": _scoped,
    COMPONENTS / "common/resiliency.yaml": _resiliency,
    COMPONENTS / "common/secrets.yaml": _scoped,
    COMPONENTS / "common/state.yaml": _scoped,
    COMPONENTS / "secrets-file/secrets.yaml": _scoped,
    Path("docker/compose.yaml"): _compose,
    Path("docker/gateway.json"): _gateway,
    Path("dapr.yaml"): _dapr_run,
    Path("docs/develop/architecture.md"): _events,
    Path("docs/run/resilience.md"): _policies,
    Path("docs/use/keys.md"): keys_page,
    Path("infra/main.bicep"): _throughput("param cosmosMaxThroughput object = {"),
    Path("infra/parameters/prod.bicepparam"): _throughput("param cosmosMaxThroughput = {"),
    Path("infra/parameters/staging.bicepparam"): _throughput("param cosmosMaxThroughput = {"),
}
