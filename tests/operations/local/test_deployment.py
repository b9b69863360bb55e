"""How many of what, and where."""

from pathlib import Path

import msgspec
import pytest
import yaml  # type: ignore[import-untyped] # it has no types of its own
from tests.parts import need

from cludale.adapters.postgres.store import LOOKUP_LINES, QUERY_LINES
from cludale.services import NAMES
from cludale.wiring.settings import Settings
from cludale.wiring.stores import STATE_STORE_USERS
from cludale_operations.local.daprd import COMPONENTS, Broker
from cludale_operations.local.deployment import (
    CONNECTIONS_BESIDES,
    MAX_REPLICAS,
    STATE_STORE,
    Deployment,
    NotDistributed,
    UnusableReplicas,
    replicas_from,
)
from cludale_operations.local.free_ports import free_ports


def laid_out(folder: Path, settings: Settings | None = None, *, replicas: str = "all=1") -> Deployment:
    """Everything, as if database, broker and sentry had been started."""
    chosen = msgspec.structs.replace(settings or Settings(), data_dir=folder)
    deployment = Deployment(chosen, broker=Broker.NATS, replicas=replicas_from([replicas]))
    (folder / "postgres").mkdir()
    (folder / "postgres/password").write_text("the-password")
    (folder / "nats").mkdir()
    (folder / "nats/password").write_text("the-password")
    deployment.sentry.folder.mkdir()
    (deployment.sentry.folder / "ca.crt").write_text("an-authority")
    deployment.add_services()
    return deployment


def secrets_of(deployment: Deployment) -> list[dict[str, str]]:
    need("daprd")
    return [dict(each.sidecar.launch().environment) for each in deployment.replicas]


def test_services_have_no_secret_in_their_environment_and_ask_their_sidecars_store(tmp_path: Path) -> None:
    deployment = laid_out(tmp_path, Settings(organizer_key="the-key", token_key="the-tokens-key"))
    for name, wanted in (("organizer-key", "the-key"), ("token-key", "the-tokens-key")):
        assert {each[name] for each in secrets_of(deployment)} == {wanted}
    for each in deployment.replicas:
        told = each.service.launch().environment
        assert told["CLUDALE_SECRETS"] == "secrets"
        # empty, which is unset: what our own environment has does not get there either
        assert {told[f"CLUDALE_{name}"] for name in ("DATABASE_URL", "ORGANIZER_KEY", "TOKEN_KEY")} == {""}
        assert not [value for value in told.values() if "the-" in value]


def test_without_a_key_for_tokens_one_is_kept(tmp_path: Path) -> None:
    kept = {each["token-key"] for each in secrets_of(laid_out(tmp_path))}
    assert kept == {(tmp_path / "token.key").read_text().strip()}


def test_a_service_ends_by_itself_however_long_it_may_take(tmp_path: Path) -> None:
    deployment = laid_out(tmp_path, Settings(shutdown_seconds=120))
    assert deployment.gateway is not None
    stopping = [*(each.service for each in deployment.replicas), deployment.gateway]
    assert all(each.stop_seconds > 120 for each in stopping)


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        (Settings(database_url="postgresql://a:b@c/d"), "CLUDALE_DATABASE_URL"),
        (Settings(cosmos_endpoint="https://a"), "CLUDALE_COSMOS_ENDPOINT"),
    ],
)
def test_a_store_of_ones_own_is_refused(tmp_path: Path, settings: Settings, variable: str) -> None:
    with pytest.raises(NotDistributed, match=f"{variable} is set.* unset it"):
        laid_out(tmp_path, settings)


def test_a_state_store_is_its_users_alone_and_one_that_the_sidecars_have(tmp_path: Path) -> None:
    deployment = laid_out(tmp_path, Settings(audit_state=STATE_STORE, concerts_state=STATE_STORE))
    told = {each.service.service: each.service.launch().environment for each in deployment.replicas}
    component = yaml.safe_load((COMPONENTS / "common" / "state.yaml").read_text())
    for user in STATE_STORE_USERS:
        variable = f"CLUDALE_{user.upper()}_STATE"
        assert {service for service, each in told.items() if each[variable]} == {user}
        assert told[user][variable] == component["metadata"]["name"]
    assert set(component["scopes"]) == set(STATE_STORE_USERS)


def test_a_state_store_that_no_sidecar_has_is_refused(tmp_path: Path) -> None:
    for settings in (Settings(audit_state="redis"), Settings(concerts_state="redis")):
        with pytest.raises(NotDistributed, match=r"CLUDALE_\w+_STATE=redis: .* one state store, 'state'"):
            laid_out(tmp_path, settings)


def test_the_database_takes_as_many_connections_as_all_replicas_may_want(tmp_path: Path) -> None:
    store = 1 + LOOKUP_LINES + QUERY_LINES
    postgres = laid_out(tmp_path, replicas=f"all={MAX_REPLICAS}").postgres
    # payments' ledger is one more, the sidecars of those that use the state store hold four each
    sidecars = 4 * len(STATE_STORE_USERS)
    assert postgres.max_connections >= MAX_REPLICAS * (len(NAMES) * store + 1 + sidecars) + CONNECTIONS_BESIDES


def test_a_services_own_number_counts_more_than_that_of_all() -> None:
    assert replicas_from(["concerts=3", "all=2"]) == {
        "concerts": 3,
        "orders": 2,
        "payments": 2,
        "notifications": 2,
        "tickets": 2,
        "audit": 2,
    }


def test_without_an_option_there_is_one_of_each() -> None:
    assert set(replicas_from([]).values()) == {1}


@pytest.mark.parametrize(
    "wanted", ["concerts", "concerts=", "concerts=0", "concerts=17", "concerts=-1", "ticket=2", "=2"]
)
def test_nonsense_is_refused_with_what_would_do(wanted: str) -> None:
    with pytest.raises(UnusableReplicas, match=r"expected|these are: all, concerts"):
        replicas_from([wanted])


def test_ports_are_different_and_not_those_of_outgoing_connections() -> None:
    ports = free_ports(200)
    assert len(set(ports)) == 200
    assert max(ports) < 32_768
