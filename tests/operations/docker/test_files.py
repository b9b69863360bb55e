"""The files of the distributed shape against the code: apps, topics, ports, scopes, secrets. No containers run here."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # it has no types of its own
from tests.parts import need

from cludale.adapters.dapr.publisher import PUBLISH_SECONDS
from cludale.adapters.dapr.subscriptions import dead_letter_topic, topics_heard
from cludale.services import NAMES
from cludale.services.catalogue import CATALOGUE, HEARS
from cludale.wiring.stores import STATE_STORE_USERS
from cludale_operations.cli.commands import COMMANDS
from cludale_operations.gateway.routes import decoded
from cludale_operations.local.daprd import ALLOWED_SECRETS
from cludale_operations.local.jetstream import ACK_WAIT_SECONDS, MAX_ACK_PENDING, STREAM, Consumer, consumers_of

ROOT = Path(__file__).parents[3]
DOCKER = ROOT / "docker"
ALL = set(NAMES)


def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text()))


def components(folder: str) -> dict[str, dict[str, Any]]:
    found = [each for file in (DOCKER / "components" / folder).glob("*.yaml") for each in documents(file)]
    return {each["metadata"]["name"]: each for each in found}


def settings_of(component: dict[str, Any]) -> list[dict[str, Any]]:
    return list(component["spec"].get("metadata", []))


def values(component: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in settings_of(component) if "value" in each}


COMPOSE = documents(DOCKER / "compose.yaml")[0]
RESILIENCY = components("common")["cludale"]["spec"]


@pytest.mark.parametrize("service", NAMES)
def test_each_service_hears_each_of_its_topics_through_a_component_that_is_its_own_consumer(service: str) -> None:
    nats = components("nats")
    topics = topics_heard(CATALOGUE, HEARS[service])
    made = {each.name: each for each in consumers_of(service)}
    for name in [*topics, "dead-letters"]:
        component = nats[name]
        assert service in component["scopes"]
        told = {key: value.replace("{appID}", service) for key, value in values(component).items()}
        consumer = made[told["durableName"]]
        subject = dead_letter_topic(service) if name == "dead-letters" else name
        assert consumer == Consumer(told["streamName"], told["queueGroupName"], subject)
        assert told["ackWait"] == f"{ACK_WAIT_SECONDS}s"
        assert told["maxAckPending"] == str(MAX_ACK_PENDING)
        assert told["concurrency"] == "single", "in parallel, Dapr's component acknowledges before the app does"
    assert {name for name, each in nats.items() if service in each["scopes"]} == {"events", "dead-letters", *topics}


def test_all_topics_are_in_the_one_stream() -> None:
    assert {each.stream for name in NAMES for each in consumers_of(name) if each.subject in topics()} == {STREAM}


def topics() -> set[str]:
    return {topic.name for topic in CATALOGUE.topics}


def test_rabbitmq_keeps_what_it_takes() -> None:
    (events,) = components("rabbitmq").values()
    told = values(events)
    assert told["deletedWhenUnused"] == told["autoAck"] == "false"
    assert told["durable"] == told["publisherConfirm"] == told["requeueInFailure"] == "true"
    assert told["deliveryMode"] == "2"
    assert told["consumerID"] == "{appID}"


@pytest.mark.parametrize("folder", ["common", "nats", "rabbitmq", "secrets-file"])
def test_every_component_is_for_our_services_alone_and_holds_no_secret(folder: str) -> None:
    for name, each in components(folder).items():
        assert set(each["scopes"]) <= ALL, name
        text = yaml.safe_dump(each)
        assert "password" not in text
        assert "@" not in text


@pytest.mark.parametrize("service", NAMES)
def test_calls_to_each_service_end(service: str) -> None:
    policies, target = RESILIENCY["policies"], RESILIENCY["targets"]["apps"][service]
    assert target["timeout"] in policies["timeouts"]
    assert target["retry"] in policies["retries"]
    assert target.get("circuitBreaker", "call") in policies["circuitBreakers"]


def test_every_component_that_is_heard_tries_again_and_gives_up_in_the_end() -> None:
    heard = {*topics(), "events"}  # dead letters are tried again by the app itself and by the broker
    targets = RESILIENCY["targets"]["components"]
    assert heard <= set(targets)
    for name in heard:
        retry = RESILIENCY["policies"]["retries"][targets[name]["inbound"]["retry"]]
        assert 1 <= retry["maxRetries"] <= 100


@pytest.mark.parametrize("name", ["publish", "state"])
def test_what_goes_to_broker_and_store_is_tried_again_after_waits_that_grow(name: str) -> None:
    retry = RESILIENCY["policies"]["retries"][name]
    assert retry["policy"] == "exponential"
    assert seconds(retry["maxInterval"]) <= 5


def test_a_sidecar_is_through_with_a_publish_before_the_app_gives_it_up() -> None:
    retry, timeout = RESILIENCY["policies"]["retries"]["publish"], RESILIENCY["policies"]["timeouts"]["publish"]
    tries = 1 + retry["maxRetries"]
    assert tries * seconds(timeout) + retry["maxRetries"] * seconds(retry["maxInterval"]) < PUBLISH_SECONDS


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def test_an_app_may_read_its_own_secrets_only() -> None:
    (configuration,) = documents(DOCKER / "config.yaml")
    (scope,) = configuration["spec"]["secrets"]["scopes"]
    assert scope["defaultAccess"] == "deny"
    assert tuple(scope["allowedSecrets"]) == ALLOWED_SECRETS


@pytest.mark.parametrize("service", NAMES)
def test_compose_runs_each_service_with_its_sidecar(service: str) -> None:
    ours, sidecar = COMPOSE["services"][service], COMPOSE["services"][f"{service}-sidecar"]
    assert ours["command"] == ["serve", service]
    assert ours["environment"]["APP_ID"] == service
    health = "--app-health-check-path=/dapr/healthz"
    assert {f"--app-id={service}", "--app-port=8080", health} <= set(sidecar["command"])
    for option in ("--resources-path=", "--config="):
        for path in (each.removeprefix(option) for each in sidecar["command"] if each.startswith(option)):
            assert (DOCKER / path.lstrip("/")).exists()
    assert ours["environment"]["APP_API_TOKEN"] == sidecar["environment"]["APP_API_TOKEN"]


@pytest.mark.parametrize("service", NAMES)
def test_a_service_of_compose_can_start_anew_under_its_sidecar(service: str) -> None:
    services = COMPOSE["services"]
    both = (services[service], services[f"{service}-sidecar"])
    assert {each["network_mode"] for each in both} == {f"service:{service}-pod"}
    assert all(f"{service}-pod" in each["depends_on"] for each in both)
    assert services[f"{service}-pod"]["networks"]["default"]["aliases"] == [service]
    assert set(services[service]["depends_on"]) == {"postgres", "streams", f"{service}-pod"}


@pytest.mark.parametrize("service", NAMES)
def test_compose_gives_keys_and_passwords_to_the_sidecars_and_services_ask_for_them(service: str) -> None:
    ours, sidecar = COMPOSE["services"][service], COMPOSE["services"][f"{service}-sidecar"]
    assert ours["environment"]["CLUDALE_SECRETS"] in components("common")
    held = yaml.safe_dump(ours["environment"])
    assert "PASSWORD" not in held
    assert "ORGANIZER_KEY" not in held
    assert {"database-url", "organizer-key"} <= set(sidecar["environment"]) & set(ALLOWED_SECRETS)


@pytest.mark.parametrize("service", NAMES)
def test_services_of_compose_have_secrets_of_their_own_and_may_be_given_a_second_one(service: str) -> None:
    held = COMPOSE["services"][f"{service}-sidecar"]["environment"]
    for name in ("organizer-key", "token-key", "service-key", "key-hash", "privacy-key"):
        assert held[name] == f"${{CLUDALE_{name.upper().replace('-', '_')}:?}}", "there has to be one"
    for name in ("token-key-too", "service-key-too", "privacy-key-too", "key-hash-too"):
        assert held[name] == f"${{CLUDALE_{name.upper().replace('-', '_')}:-}}", "there may be one"


@pytest.mark.parametrize("user", STATE_STORE_USERS)
def test_compose_leaves_it_to_a_setting_what_is_kept_in_the_state_store(user: str) -> None:
    variable = f"CLUDALE_{user.upper()}_STATE"
    told = {name: each.get("environment", {}) for name, each in COMPOSE["services"].items() if name in NAMES}
    assert [name for name, each in told.items() if variable in each] == [user]
    assert told[user][variable] == f"${{{variable}:-}}", "unset: a schema of its own"
    assert user in components("common")["state"]["scopes"]
    assert "state-url" in COMPOSE["services"][f"{user}-sidecar"]["environment"]


def test_compose_has_the_gateway_before_all_services_and_nothing_else_outside() -> None:
    services = COMPOSE["services"]
    assert [name for name, each in services.items() if "ports" in each] == ["gateway"]
    routes = decoded((DOCKER / "gateway.json").read_bytes())
    assert {name: each.backends[0].url for name, each in routes.services.items()} == {
        name: f"http://{name}:8080" for name in NAMES
    }


def test_compose_mounts_files_that_are_there() -> None:
    mounts = [mount for each in COMPOSE["services"].values() for mount in each.get("volumes", [])]
    for source in (mount.partition(":")[0] for mount in mounts):
        assert (DOCKER / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_the_commands_of_the_containers_are_ours() -> None:
    images = [each for each in COMPOSE["services"].values() if each["image"] == "cludale"]
    assert {each["command"][0] for each in images} <= set(COMMANDS)


def test_the_dapr_cli_runs_every_service_on_a_port_of_its_own() -> None:
    (run,) = documents(ROOT / "dapr.yaml")
    assert [each["appID"] for each in run["apps"]] == list(NAMES)
    assert all(each["env"]["CLUDALE_PORT"] == str(each["appPort"]) for each in run["apps"])
    given = run["common"]["env"]
    assert given["CLUDALE_SERVICE_KEY"] != given["CLUDALE_ORGANIZER_KEY"]
    ports = [port for each in run["apps"] for port in (each["appPort"], each["daprHTTPPort"])]
    assert len(set(ports)) == len(ports)
    assert all((ROOT / path).is_dir() for path in run["common"]["resourcesPaths"])


def test_what_sidecars_need_is_not_left_to_the_dapr_clis_env_which_reaches_apps_alone() -> None:
    (run,) = documents(ROOT / "dapr.yaml")
    folders = [Path(path).name for path in run["common"]["resourcesPaths"]]
    entries = [entry for name in folders for each in components(name).values() for entry in settings_of(each)]
    needed = {entry["secretKeyRef"]["name"] for entry in entries if "secretKeyRef" in entry}
    needed |= {"DAPR_API_TOKEN", "APP_API_TOKEN"}
    given = set(run["common"]["env"]).union(*(each["env"] for each in run["apps"]))
    assert not needed & given
    (command,) = re.findall(r"^#   (env .*\\\n.*) dapr run -f \.$", (ROOT / "dapr.yaml").read_text(), re.MULTILINE)
    assert {word.partition("=")[0] for word in command.split() if "=" in word} == needed


def test_nats_takes_its_configuration() -> None:
    server = need("nats-server")
    done = subprocess.run(
        [server, "-t", "-c", DOCKER / "nats.conf"],
        env={"NATS_PASSWORD": "some-password"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "sync_interval: always" in (DOCKER / "nats.conf").read_text()
