"""`cludale database prepare`: by the owner, again without harm, and by nobody else."""

import asyncio

from tests.product.adapters.postgres.members import member
from tests.product.contracts.samples import KINDS
from typer.testing import CliRunner

from cludale.services import NAMES
from cludale_operations.cli import app
from cludale_operations.local.postgres import Postgres


def prepared(url: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["database", "prepare"], env={"CLUDALE_DATABASE_URL": url})
    return done.exit_code, done.output


def test_the_owner_makes_it_ready_and_again_changes_nothing(database_url: str) -> None:
    said = "".join(f"{service}: cludale_{service}\n" for service in NAMES)
    assert [prepared(database_url) for _ in range(2)] == [(0, said)] * 2


def test_somebody_else_is_told_whom_it_takes(postgres_server: Postgres) -> None:
    login = asyncio.run(member(postgres_server.url, "nobody", KINDS))
    status, said = prepared(postgres_server.url_as(login, "postgres"))
    assert (status, "permission denied" in said) == (2, True)
    assert prepared("postgresql://nobody@127.0.0.1:1/nowhere")[0] == 2
