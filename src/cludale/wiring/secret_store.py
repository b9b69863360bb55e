"""Reads secret settings from a secret store, through the sidecar."""

import asyncio
import logging

from cludale.adapters.dapr.sidecar import SecretMissing, SidecarAway
from cludale.wiring.needs import MissingSetting, sidecar_of
from cludale.wiring.settings import Settings

SECRETS_SECONDS = 60.0
"""How long a start waits for the secret store."""

_log = logging.getLogger(__name__)


async def with_secrets(settings: Settings) -> Settings:
    """The settings with what the Dapr secret store has of those that are not set; as they are without a store.

    A secret is called as its setting, with hyphens: `organizer-key`, `database-url`. An audit that keeps its log in a
    state store has no database of its own to ask for. Raises MissingSetting.
    """
    store = settings.secrets
    if store is None:
        return settings
    stores = () if settings.audit_state is None else ("database_url", "cosmos_key")
    wanted = [field for field in settings.absent_secrets() if field not in stores]
    sidecar = sidecar_of(settings)
    try:
        async with asyncio.timeout(SECRETS_SECONDS):
            await sidecar.wait(settings.sidecar_seconds)
            found = {field: await sidecar.secret(store, field.replace("_", "-")) for field in wanted}
    except (TimeoutError, SidecarAway, SecretMissing) as error:
        raise MissingSetting(f"the secret store {store!r} (CLUDALE_SECRETS) can't be asked: {error!r}") from error
    finally:
        await sidecar.close()
    values = {field: value for field, value in found.items() if value is not None}
    _log.info("from the secret store %r: %s", store, ", ".join(values) or "nothing")
    return settings.with_values(values)
