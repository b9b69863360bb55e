"""What is missing is said before anything is opened."""

from pathlib import Path

import pytest
from tests.product.wiring.platforms import BEHIND_A_SIDECAR, ELSEWHERE, running, settings

from cludale.services import NAMES
from cludale.wiring.needs import MissingSetting
from cludale.wiring.platform import Platform
from cludale.wiring.settings import PaymentProvider
from cludale.wiring.variables import UnusableSetting


@pytest.mark.parametrize(
    ("service", "variable"), [("orders", "CLUDALE_CONCERTS_URL"), ("notifications", "CLUDALE_ORDERS_URL")]
)
async def test_a_service_that_needs_another_says_which_and_leaves_the_folder_free(
    tmp_path: Path, service: str, variable: str
) -> None:
    with pytest.raises(MissingSetting, match=variable):
        Platform(settings(tmp_path), [service])
    async with running(tmp_path, [service], **ELSEWHERE) as platform:
        assert platform.ready


@pytest.mark.parametrize("service", ["payments", "notifications"])
async def test_payments_or_notifications_alone_needs_concerts_too(tmp_path: Path, service: str) -> None:
    elsewhere = {name: value for name, value in ELSEWHERE.items() if name != "concerts_url"}
    with pytest.raises(MissingSetting, match="CLUDALE_CONCERTS_URL"):
        Platform(settings(tmp_path, **elsewhere), [service])


@pytest.mark.parametrize(
    "sender", ["tickets", "a@b.example, c@d.example", "Cludale <tickets>", "a@..", "a@b\nBcc: c@d"]
)
async def test_a_sender_that_is_no_address_is_refused_by_name(tmp_path: Path, sender: str) -> None:
    with pytest.raises(UnusableSetting, match=r"CLUDALE_SMTP_FROM.*Cludale Tickets <tickets@example\.com>"):
        Platform(settings(tmp_path, smtp_host="127.0.0.1", smtp_from=sender), ["notifications"])


@pytest.mark.parametrize("sender", ["tickets@localhost", "Cludale Tickets <tickets@example.com>"])
async def test_a_sender_may_have_a_name(tmp_path: Path, sender: str) -> None:
    async with running(tmp_path, smtp_host="127.0.0.1", smtp_from=sender) as platform:
        assert platform.ready


async def test_where_nobody_takes_the_money_payments_does_not_start_and_the_others_do(tmp_path: Path) -> None:
    with pytest.raises(MissingSetting, match="simulated sells tickets without it"):
        Platform(settings(tmp_path, payment_provider=PaymentProvider.NONE), NAMES)
    async with running(tmp_path, ["concerts"], payment_provider=PaymentProvider.NONE, **ELSEWHERE) as platform:
        assert platform.ready


async def test_behind_a_sidecar_nothing_starts_without_the_apps_token(tmp_path: Path) -> None:
    with pytest.raises(MissingSetting, match="APP_API_TOKEN"):
        Platform(settings(tmp_path, dapr=True), ["orders"])
    with pytest.raises(MissingSetting, match="CLUDALE_ORGANIZER_KEY"):
        Platform(settings(tmp_path, **BEHIND_A_SIDECAR, organizer_key=None), ["orders"])
    with pytest.raises(MissingSetting, match="APP_ID"):
        Platform(settings(tmp_path, **BEHIND_A_SIDECAR), ["orders", "concerts"])


async def test_a_state_store_is_for_audit_alone_behind_a_sidecar(tmp_path: Path) -> None:
    for only, changes in (
        (["audit"], {}),
        (["orders"], BEHIND_A_SIDECAR),
        (["audit"], BEHIND_A_SIDECAR | {"database_url": "postgresql://cludale@127.0.0.1:1/x"}),
    ):
        with pytest.raises(MissingSetting, match="CLUDALE_AUDIT_STATE"):
            Platform(settings(tmp_path, audit_state="state", **changes), only)


async def test_concerts_state_store_is_for_concerts_alone_behind_a_sidecar(tmp_path: Path) -> None:
    for only, changes in ((["concerts"], {}), (["orders"], BEHIND_A_SIDECAR), (NAMES, BEHIND_A_SIDECAR)):
        with pytest.raises(MissingSetting, match="CLUDALE_CONCERTS_STATE"):
            Platform(settings(tmp_path, concerts_state="state", **changes), only)


async def test_replicas_of_orders_make_the_same_access_tokens(tmp_path: Path) -> None:
    tokens = set()
    for replica in ("one", "other"):
        async with running(tmp_path / replica, ["orders"], **BEHIND_A_SIDECAR) as platform:
            tokens.add(platform.access.token_for("order-1"))
    assert len(tokens) == 1
