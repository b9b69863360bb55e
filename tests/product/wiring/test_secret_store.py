"""Settings that lie in a secret store."""

from pathlib import Path

import pytest
from tests.product.adapters.dapr.double import SidecarDouble
from tests.product.wiring.platforms import settings

from cludale.wiring.needs import MissingSetting
from cludale.wiring.secret_store import with_secrets


async def test_a_secret_store_that_cant_be_asked_ends_the_start(tmp_path: Path) -> None:
    refusing = SidecarDouble(lambda path, _: (204, b"") if "healthz" in path else (500, b"ERR_SECRET_STORE_NOT_FOUND"))
    async with refusing.listening():
        wanted = settings(tmp_path, secrets="secrets", dapr_http_port=refusing.port)
        with pytest.raises(MissingSetting, match="CLUDALE_SECRETS"):
            await with_secrets(wanted)


async def test_secrets_fill_what_is_not_set(tmp_path: Path) -> None:
    def answer(path: str, _: bytes) -> tuple[int, bytes]:
        return (200, b'{"token-key":"from-the-store"}') if path.endswith("/token-key") else (204, b"")

    async with SidecarDouble(answer).listening() as store:
        found = await with_secrets(settings(tmp_path, secrets="secrets", dapr_http_port=store.port))
    assert found.token_key == "from-the-store"
    assert found.organizer_key == "organizer"
    assert not any(path.endswith("/organizer-key") for path, _ in store.requests)


async def test_audit_over_a_state_store_asks_for_no_database(tmp_path: Path) -> None:
    def answer(path: str, _: bytes) -> tuple[int, bytes]:
        return (200, b'{"database-url":"postgresql://a:b@c/d"}') if path.endswith("/database-url") else (204, b"")

    async with SidecarDouble(answer).listening() as store:
        found = await with_secrets(
            settings(tmp_path, secrets="secrets", audit_state="state", dapr=True, dapr_http_port=store.port)
        )
    assert found.database_url is None
    assert found.audit_state == "state"
