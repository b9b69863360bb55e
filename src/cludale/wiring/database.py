"""Makes a PostgreSQL database ready for services that each log in for themselves: its owner does it, before they start.

A process that logs in as the owner needs none of this; it makes what is missing itself.
"""

from cludale.services import NAMES
from cludale.wiring.needs import without_asyncpg
from cludale.wiring.stores import kinds_of

SECONDS = 60.0
"""How long connecting, or one statement, may take: this is waited for."""


class NotAllowed(Exception):
    """This user may not make schemas and roles; the message says what the server says."""


async def prepare_database(url: str) -> dict[str, str]:
    """Make the schema of every service and the role that may use it; each service's role.

    `url` is the owner's, who may make roles. Raises MissingSetting, NotAllowed, SchemaRefused, StoreUnavailable.
    """
    try:
        from asyncpg import InsufficientPrivilegeError  # noqa: PLC0415 - only this shape needs it

        from cludale.adapters.postgres.connection import SessionLimits, connect  # noqa: PLC0415 - it needs asyncpg
        from cludale.adapters.postgres.preparing import prepare, role_of  # noqa: PLC0415 - so does this
        from cludale.adapters.simulated_payments.shared_ledger import let_use  # noqa: PLC0415 - and this
    except ModuleNotFoundError as missing:
        raise without_asyncpg(missing) from missing
    connection = await connect(
        url, SessionLimits(connect=SECONDS, statement=SECONDS, lock=SECONDS), name="cludale prepare"
    )
    try:
        for service in NAMES:
            await prepare(connection, service, kinds_of([service]))
        await let_use(connection, role_of("payments"))
    except InsufficientPrivilegeError as error:
        raise NotAllowed(
            f"CLUDALE_DATABASE_URL has to be the owner's, who may make schemas and roles: {error}"
        ) from error
    finally:
        await connection.close()
    return {service: role_of(service) for service in NAMES}
