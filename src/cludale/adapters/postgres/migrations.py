"""Numbered migrations, forward only: what every store has besides the tables of its kinds, and how it came about.

Whichever replica comes first makes them, in one transaction under an advisory lock; the others wait for it and find
nothing left to do. A kind that is not there yet gets its table at the same occasion, and this program's `write`
function is put there. A kind whose indexed fields have changed needs a migration, for what is stored has to be
indexed anew; without one it is refused.
"""
# ruff: noqa: S608 - the schema's name was checked, tables are named by schema.Table

import logging
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from asyncpg.exceptions import InsufficientPrivilegeError

from cludale.adapters.postgres.connection import Connection
from cludale.adapters.postgres.schema import Function, Table
from cludale.ports.records import Kind, SchemaRefused

_log = logging.getLogger(__name__)

BLOCK: Final = 1_000_000
"""Positions in the outbox are handed out to replicas in blocks of so many."""


class Migration(NamedTuple):
    """One step. `{schema}` stands for the schema's name; it must also do when the schema holds no kind yet."""

    number: int
    name: str
    sql: str


# The inbox is for releases before ADR 96 alone, which may run beside this one.
MIGRATIONS: Final = (
    Migration(
        1,
        "inbox, outbox and replicas",
        f"""
        CREATE TABLE {{schema}}.inbox (
          consumer text COLLATE "C" NOT NULL, event_id text COLLATE "C" NOT NULL, PRIMARY KEY (consumer, event_id));

        -- A position belongs to its owner: a replica publishes what it owns, in this order.
        CREATE TABLE {{schema}}.outbox (
          owner int NOT NULL, position bigint NOT NULL, topic text NOT NULL, body bytea NOT NULL,
          PRIMARY KEY (owner, position))
          WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
        CREATE SEQUENCE {{schema}}.position_block INCREMENT BY {BLOCK};

        -- epoch: how often the place was taken; who writes names it, so that an older connection writes no more.
        -- batch: the last batch that was written, to judge one whose answer was lost. events: how many came from it.
        CREATE TABLE {{schema}}.replica (
          id int PRIMARY KEY, epoch bigint NOT NULL, batch bigint NOT NULL DEFAULT 0, events bigint NOT NULL DEFAULT 0,
          expires timestamptz NOT NULL)
          WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
        CREATE SEQUENCE {{schema}}.replica_id AS int CYCLE;
        -- The events of replicas that are gone for good.
        INSERT INTO {{schema}}.replica VALUES (0, 0, 0, 0, 'infinity');

        -- Strike replicas off that left nothing; what they counted is kept.
        CREATE FUNCTION {{schema}}.strike_off(p_seconds float8) RETURNS void LANGUAGE sql AS $$
          WITH gone AS (
            DELETE FROM {{schema}}.replica AS r
            WHERE id IN (SELECT id FROM {{schema}}.replica
                WHERE expires = '-infinity' OR expires < clock_timestamp() - p_seconds * interval '1 second'
                ORDER BY id FOR UPDATE SKIP LOCKED)
              AND NOT EXISTS (SELECT FROM {{schema}}.outbox WHERE owner = r.id)
            RETURNING events
          )
          UPDATE {{schema}}.replica SET events = events + (SELECT sum(gone.events) FROM gone)
          WHERE id = 0 AND EXISTS (SELECT FROM gone)
        $$;
        """,
    ),
)


# What the release before can live with has no number, for it refuses a schema with a number that it does not know.
#
# A row of the outbox is what a batch published of one topic: `earlier` are the events before `body`, in order, under
# the positions before its own. Rows of the release before have none. It takes over by this function, too: so events
# that are taken over have a row each, as it knows them.
PACKED_OUTBOX: Final = """
    ALTER TABLE {schema}.outbox ADD COLUMN earlier bytea[];
    DO $$ BEGIN ALTER TABLE {schema}.outbox ALTER COLUMN earlier SET COMPRESSION lz4;
    EXCEPTION WHEN feature_not_supported THEN NULL; END $$;

    -- Make events of these replicas, if they are gone, one's own: under positions after p_base or (NULL) their own.
    -- So many rows that there are p_limit events, the last row whole.
    CREATE OR REPLACE FUNCTION {schema}.take_over(p_owner int, p_epoch bigint, p_gone int[], p_base bigint, p_limit int)
      RETURNS TABLE ("position" bigint, topic text, body bytea) LANGUAGE plpgsql AS $$
    #variable_conflict use_column
    DECLARE
      fenced int[];
    BEGIN
      IF NOT EXISTS (SELECT FROM {schema}.replica WHERE id = p_owner AND epoch = p_epoch) THEN RETURN; END IF;
      WITH gone AS (
        SELECT id FROM {schema}.replica
        WHERE id = ANY(p_gone) AND id <> p_owner AND expires < clock_timestamp()
        ORDER BY id FOR UPDATE SKIP LOCKED
      ), anew AS (
        UPDATE {schema}.replica SET epoch = epoch + 1 WHERE id IN (SELECT id FROM gone) RETURNING id
      )
      SELECT array_agg(id) INTO fenced FROM anew;
      RETURN QUERY
        WITH found AS (
          SELECT o.owner, o.position, o.topic, array_append(o.earlier, o.body) AS bodies
          FROM {schema}.outbox AS o WHERE o.owner = ANY(fenced)
          ORDER BY o.owner, o.position LIMIT p_limit FOR UPDATE SKIP LOCKED
        ), counted AS (
          SELECT *, sum(cardinality(bodies)) OVER (ORDER BY owner, position) AS events FROM found
        ), chosen AS (
          SELECT * FROM counted WHERE events - cardinality(bodies) < p_limit
        ), cleared AS (
          DELETE FROM {schema}.outbox AS o USING chosen AS s WHERE o.owner = s.owner AND o.position = s.position
        ), taken AS (
          INSERT INTO {schema}.outbox (owner, position, topic, body)
          SELECT p_owner, coalesce(
            p_base + row_number() OVER (ORDER BY s.owner, s.position, e.at), s.position - cardinality(s.bodies) + e.at
          ), s.topic, e.body
          FROM chosen AS s, unnest(s.bodies) WITH ORDINALITY AS e(body, at)
          RETURNING position, topic, body
        )
        SELECT taken.position, taken.topic, taken.body FROM taken ORDER BY taken.position;
    END $$;
"""


async def migrate(connection: Connection, schema: str, tables: Mapping[Kind, Table], function: Function) -> None:
    """Bring the schema to this program's version. Raises SchemaRefused, and whatever the server raises."""
    try:
        await _migrate(connection, schema, tables, function)
    except InsufficientPrivilegeError as error:
        raise SchemaRefused(
            f"the schema {schema} is not as this version wants it, and this user may not change that ({error}): run "
            "`cludale database prepare` of this version as the database's owner first"
        ) from error


async def _migrate(connection: Connection, schema: str, tables: Mapping[Kind, Table], function: Function) -> None:
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"cludale {schema}")
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", schema):
            await connection.execute(f"CREATE SCHEMA {schema}")
        there = {row["relname"] for row in await connection.fetch(_RELATIONS, schema)}
        await _forward(connection, schema, there)
        if "earlier" not in await _columns(connection, f"{schema}.outbox"):
            await connection.execute(PACKED_OUTBOX.replace("{schema}", schema))
        await _make_tables(connection, schema, tables.values(), there)
        if not await connection.fetchval(_FUNCTION, schema, function.plain):
            await connection.execute(function.create)


_RELATIONS: Final = (
    "SELECT relname FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) "
    "AND relkind IN ('r', 'p', 'v', 'm', 'f')"
)
_FUNCTION: Final = (
    "SELECT EXISTS (SELECT FROM pg_proc WHERE proname = $2 "
    "AND pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1))"
)
_COLUMNS: Final = (
    "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped "
    "ORDER BY attnum"
)


async def _columns(connection: Connection, table: str) -> list[str]:
    return [row["attname"] for row in await connection.fetch(_COLUMNS, table)]


async def _forward(connection: Connection, schema: str, there: Collection[str]) -> None:
    known = MIGRATIONS[-1].number
    if "migration" in there:
        version = await connection.fetchval(f"SELECT coalesce(max(number), 0) FROM {schema}.migration")
    elif there:
        raise SchemaRefused(
            f"the schema {schema} holds tables ({', '.join(sorted(there)[:5])} …) and is not a store of Cludale's"
        )
    else:
        version = 0
        await connection.execute(
            f"CREATE TABLE {schema}.migration (number int PRIMARY KEY, name text NOT NULL, "
            "made_at timestamptz NOT NULL DEFAULT now())"
        )
    if version > known:
        raise SchemaRefused(
            f"the schema {schema} has version {version}, this program knows version {known}: "
            "it was written by a newer version of Cludale, and only that one or a later one can use it"
        )
    for migration in MIGRATIONS:
        if migration.number > version:
            _log.info("schema %s: migration %d, %s", schema, migration.number, migration.name)
            await connection.execute(migration.sql.replace("{schema}", schema))
            await connection.execute(
                f"INSERT INTO {schema}.migration (number, name) VALUES ($1, $2)", migration.number, migration.name
            )


async def _make_tables(connection: Connection, schema: str, tables: Collection[Table], there: Collection[str]) -> None:
    for table in tables:
        if table.plain not in there:
            await connection.execute(table.create())
            continue
        columns = await _columns(connection, table.name)
        stored = [column for column in columns if column not in ("n", "id", "version", "body")]
        if set(stored) != set(table.kind.indexed):
            raise SchemaRefused(
                f"{schema}.{table.plain} is stored with the indexed fields ({', '.join(stored)}), "
                f"and this program wants ({', '.join(table.kind.indexed)})"
            )
