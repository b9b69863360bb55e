"""How each service logs in at the database: as a user of its own, which may do what its role may, and nothing else.

Passwords are made at each start, and `up.json` alone has them. Two users of a service take turns, so that two passwords
can be good at once. What the services have no rights to, tables above all, the owner makes before they start.
"""

from typing import Final

from cludale.adapters.postgres.preparing import role_of
from cludale.ports.records import SchemaRefused, StoreUnavailable
from cludale.services import NAMES
from cludale.wiring.database import NotAllowed, prepare_database
from cludale.wiring.stores import STATE_STORE_USERS
from cludale_operations.local.logins import Login, new_password
from cludale_operations.local.part import PartFailed
from cludale_operations.local.postgres import Postgres

TURNS: Final = (1, 2)

_USER: Final = """DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{user}') THEN CREATE ROLE {user} IN ROLE {role}; END IF;
  -- so that what it makes in the state store's schema belongs to both users
  ALTER ROLE {user} SET role = '{role}';
  ALTER ROLE {user} SET search_path = '{role}_state';
END $$"""
# Dapr makes its tables itself, in the first schema of the search path: each sidecar's in one of its own. Earlier
# versions of this had one table for all of them.
_STATE: Final = """DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_namespace WHERE nspname = '{role}_state') THEN RETURN; END IF;
  CREATE SCHEMA {role}_state AUTHORIZATION {role};
  IF to_regclass('public.dapr_state') IS NULL THEN RETURN; END IF;
  CREATE TABLE {role}_state.dapr_state (LIKE public.dapr_state INCLUDING ALL);
  CREATE TABLE {role}_state.dapr_metadata (LIKE public.dapr_metadata INCLUDING ALL);
  ALTER TABLE {role}_state.dapr_state OWNER TO {role};
  ALTER TABLE {role}_state.dapr_metadata OWNER TO {role};
  INSERT INTO {role}_state.dapr_metadata SELECT * FROM public.dapr_metadata;
  WITH moved AS (DELETE FROM public.dapr_state WHERE starts_with(key, '{service}||') RETURNING *)
  INSERT INTO {role}_state.dapr_state SELECT * FROM moved;
END $$"""


class ServiceLogins:
    """The users of the services at one server."""

    name = "the services' users of postgres"

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._logins = self._new(TURNS[0])
        self._turn = TURNS[0]

    def url(self, service: str) -> str:
        """The address of the database, as this service is let in."""
        return self._postgres.url_as(self._logins[service])

    async def make(self) -> None:
        """Make schemas, roles and users, and let the users of the first turn in alone. Raises PartFailed."""
        try:
            roles = await prepare_database(self._postgres.url)
        except (SchemaRefused, StoreUnavailable, NotAllowed) as error:
            raise PartFailed(f"the database can't be made ready for the services: {error}") from error
        await self._postgres.ask(
            *(_USER.format(user=_user(service, turn), role=role) for service, role in roles.items() for turn in TURNS),
            *(_STATE.format(service=service, role=roles[service]) for service in STATE_STORE_USERS),
        )
        await self._let_in()
        await self.end_login(TURNS[1])

    async def renew_login(self) -> int:
        """Let the other users in, from now on those that are used; the former turn. Raises PartFailed."""
        former = self._turn
        self._turn = next(turn for turn in TURNS if turn != former)
        self._logins = self._new(self._turn)
        await self._let_in()
        return former

    async def end_login(self, former: int) -> None:
        """Let the users of that turn in no more, and end their connections. Raises PartFailed."""
        users = [_user(service, former) for service in NAMES]
        await self._postgres.ask(
            *(f"ALTER ROLE {user} NOLOGIN PASSWORD NULL" for user in users),
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY('{{{','.join(users)}}}')",  # noqa: S608 - ours
        )

    async def _let_in(self) -> None:
        await self._postgres.ask(
            *(f"ALTER ROLE {user} LOGIN PASSWORD '{password}'" for user, password in self._logins.values())
        )

    @staticmethod
    def _new(turn: int) -> dict[str, Login]:
        return {service: Login(_user(service, turn), new_password()) for service in NAMES}


def _user(service: str, turn: int) -> str:
    return f"{role_of(service)}_{turn}"
