"""A seventh service: CONTRIBUTING's "add a service", followed to the letter in a copy of the project."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # it has no types of its own

from cludale_operations.local.find import cache_folder

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
COPIED = ("src", "tools", "tests", "docker", "docs", "infra", "dapr.yaml", "pyproject.toml", "CONTRIBUTING.md")
LEFT_OUT = shutil.ignore_patterns(".*", "node_modules", "data", "*.pyc.*")  # the last are being written

FOLDER = {
    "__init__.py": '"""Waitlist: who wants seats that come back."""\n',
    "events.py": '''\
"""What the waitlist tells the others."""

from cludale.kernel.events import Event, Topic


class WaitlistMoved(Event, frozen=True, kw_only=True):
    """Seats came back, and whoever waits for them can be told."""

    concert_id: str
    order_id: str
    quantity: int


TOPIC = Topic("waitlist-events", "waitlist", (WaitlistMoved,))
''',
    "store.py": '''\
"""How the waitlist is stored."""

import msgspec

from cludale.ports.records import Kind
from cludale.runtime.aggregates import AggregateStore


class Move(msgspec.Struct, frozen=True, rename="camel"):
    """Seats that came back."""

    reservation_id: str
    concert_id: str
    quantity: int


MOVES = AggregateStore(
    Kind("waitlist", "move", ("concertId",), ("concertId",)),
    Move,
    identity=lambda move: move.reservation_id,
    index=lambda move: (move.concert_id,),
)
KINDS = (MOVES.kind,)
''',
    "service.py": '''\
"""The waitlist at work: writes down which seats came back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter

from cludale.kernel.decision import Decision
from cludale.kernel.events import Envelope, Event
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.clock import Clock, IdSource
from cludale.ports.records import Query, Records
from cludale.runtime.aggregates import Handler, Updates
from cludale.services.concerts.events import SeatsReleased
from cludale.services.waitlist.events import WaitlistMoved
from cludale.services.waitlist.store import MOVES, Move


class Waitlist:
    """The waitlist service."""

    def __init__(self, records: Records, *, clock: Clock, ids: IdSource) -> None:
        self._updates = Updates("waitlist", records, clock=clock, ids=ids)

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Acknowledgement]:
        """SeatsReleased moves the list, once."""
        answers, _ = await self._updates.handle(MOVES, deliveries, HANDLERS, attrgetter("reservation_id"))
        return answers

    async def moves(self, concert_id: str) -> list[Move]:
        """The seats of this concert that came back."""
        found, _ = await MOVES.find(self._updates.records, Query(equal={"concertId": concert_id}))
        return [each.state for each in found]


def _move(event: Envelope, move: Move | None, _: datetime) -> Decision[Move]:
    if move is not None:
        return Decision(move)
    back: SeatsReleased = event.data
    moved = WaitlistMoved(concert_id=back.concert_id, order_id=back.order_id or "", quantity=back.allocation.quantity)
    return Decision(Move(back.allocation.reservation_id, back.concert_id, back.allocation.quantity), (moved,))


HANDLERS: Mapping[type[Event], Handler[Move]] = {SeatsReleased: _move}
"""What the service hears, and what decides about it."""
''',
    "api.py": '''\
"""The waitlist over HTTP."""

import msgspec

from cludale.kernel.principals import Scope
from cludale.web.problems import Statuses
from cludale.web.responses import Response, json_response
from cludale.web.routing import Reply, Request, route
from cludale.services.waitlist.service import Waitlist
from cludale.services.waitlist.store import Move

STATUS: Statuses = {}


class Moves(msgspec.Struct, frozen=True):
    """Seats that came back."""

    items: list[Move]


class FindMoves(msgspec.Struct, frozen=True, rename="camel"):
    """Of which concert."""

    concert_id: str


class WaitlistApi:
    """The routes of the waitlist."""

    def __init__(self, waitlist: Waitlist) -> None:
        self._waitlist = waitlist

    @route(
        "GET",
        "/waitlist",
        scope=Scope.READ,
        summary="List seats that came back",
        replies={200: Reply(Moves)},
    )
    async def list_moves(self, _: Request, query: FindMoves) -> Response:
        """All of them."""
        return json_response(Moves(await self._waitlist.moves(query.concert_id)))
''',
    "manifest.py": '''\
"""The waitlist as data: what the rest of the platform has to know of it."""

from cludale.services.manifest import HttpParts, Manifest, Parts, Probe, Running
from cludale.services.waitlist import api
from cludale.services.waitlist.events import TOPIC
from cludale.services.waitlist.service import HANDLERS, Waitlist
from cludale.services.waitlist.store import KINDS


def _build(parts: Parts) -> Running:
    waitlist = Waitlist(parts.records("waitlist"), clock=parts.clock, ids=parts.ids)
    return Running(waitlist, waitlist.handle)


def _api(waitlist: Waitlist, _: HttpParts) -> api.WaitlistApi:
    return api.WaitlistApi(waitlist)


MANIFEST = Manifest(
    name="waitlist",
    about="Who wants seats that come back",
    topic=TOPIC,
    handlers=HANDLERS,
    kinds=KINDS,
    build=_build,
    api=_api,
    statuses=api.STATUS,
    probes=(Probe("GET", "/waitlist?concertId=c1", 200, as_organizer=True),),
)
''',
}

LOOK = """
import asyncio, json, sys, tempfile
from pathlib import Path
import httpx
from typer.testing import CliRunner
from cludale_operations.cli import app
from cludale_proof.simulator.course import run
from cludale.adapters.dapr.subscriptions import subscriptions
from cludale.wiring.platform import Platform
from cludale.wiring.stores import CONTAINERS
from cludale_operations.gateway.site import surveyed
from cludale.kernel.events import Cause
from cludale_operations.release.order import hearers_first, publishers
from cludale.wiring.services import described
from cludale_operations.release.smoke import PROBES
from cludale.services.catalogue import CATALOGUE, HEARS, KINDS
from cludale.services.concerts.events import SectionPlan
from cludale.services.concerts.concert import Concert
from cludale.services.orders.domain import OrderRequest
from cludale.services.orders.events import CancelReason
from cludale.kernel.money import Money
from cludale.wiring.settings import Settings
from cludale.web.app import WebApp
from cludale.web.open_connections import ConnectionLimits, Connections
from cludale.web.server import accepting, address_of, listen


async def at_work(folder):
    platform = Platform(Settings(data_dir=folder, organizer_key="organizer", sweep_seconds=0.05))
    await platform.start()
    try:
        plan = SectionPlan(id="stalls", name="Stalls", total_seats=10, price=Money(4500, "EUR"))
        concert = Concert(
            id="c1", artist="Larks", date="2099-06-05", venue=None, sections=(plan,), on_sale_at=None, max_per_order=8
        )
        await platform.concerts.directory.schedule(concert, Cause())
        request = OrderRequest(concert_id="c1", user_id="u", quantity=2, payment_method="card-declined")
        order = await platform.orders.place(request, cause=Cause())
        await platform.orders.cancel(order.id, CancelReason.BUYER, Cause())
        app = WebApp(
            platform.services, is_ready=lambda: True, gauges=platform.gauges, version="0"
        )
        headers = {"authorization": "Bearer organizer"}
        listener = listen("127.0.0.1", 0)
        connections = Connections(app.router.find, app.problems, ConnectionLimits())
        async with (
            accepting(connections, listener, shutdown_seconds=5),
            httpx.AsyncClient(base_url=address_of(listener)) as client,
        ):
            for _ in range(200):
                moves = (await client.get("/waitlist?concertId=c1", headers=headers)).json()
                recorded = (await client.get("/audit/events?type=WaitlistMoved", headers=headers)).json()
                if moves["items"] and recorded["items"]:
                    break
                await asyncio.sleep(0.05)
            return {
                "moves": moves["items"],
                "recorded": recorded["items"],
                "without a key": (await client.get("/waitlist?concertId=c1")).status_code,
                "dead letters": (await client.get("/waitlist/-/dead-letters", headers=headers)).status_code,
            }
    finally:
        await platform.stop()


site = surveyed()
with tempfile.TemporaryDirectory() as folder:
    running = asyncio.run(at_work(Path(folder)))
json.dump(
    {
        "openapi": json.loads(site.openapi_document()),
        "owner": site.owners["waitlist"],
        "paths": {each.name: each.prefixes for each in described()}["waitlist"],
        "catalogue": sorted(CATALOGUE.types),
        "heard": {name: sorted(types) for name, types in HEARS.items()},
        "kinds": [kind for kind in KINDS],
        "container": {each.name: list(each.sorted_by) for each in CONTAINERS}["waitlist"],
        "subscriptions": subscriptions(
            CATALOGUE, HEARS["waitlist"], app_id="waitlist", pubsub="events", components={}
        ),
        "probes": [list(each) for each in PROBES],
        "order": hearers_first(HEARS, publishers(CATALOGUE)),
        "running": running,
        "help": CliRunner().invoke(app, ["serve", "--help"]).output,
        "simulated": [run(seed).findings for seed in (1, 2, 3)],
    },
    sys.stdout,
)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a seventh service: a folder, a line, `make infra`; its event, for the checker."""
    copy = tmp_path_factory.mktemp("project")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=LEFT_OUT)
        else:
            shutil.copy(ROOT / name, copy / name)
    folder = copy / "src/cludale/services/waitlist"
    folder.mkdir()
    for name, text in FOLDER.items():
        (folder / name).write_text(text, encoding="utf-8")
    names = copy / "src/cludale/services/__init__.py"
    lines = names.read_text(encoding="utf-8").splitlines()
    lines.insert(lines.index('    "audit",') + 1, '    "waitlist",')
    names.write_text("\n".join(lines) + "\n", encoding="utf-8")
    checker = copy / "src/cludale_proof/checker/lifecycle.py"
    text = checker.read_text(encoding="utf-8")
    assert "*KEY_EVENTS, " in text
    text = text.replace("*KEY_EVENTS, ", '*KEY_EVENTS, "WaitlistMoved", ', 1)
    checker.write_text(text, encoding="utf-8")
    run(copy, "-m", "tools.infra")
    return copy


def run(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env={
            **os.environ,
            "PYTHONPATH": f"{project / 'src'}:{project}",
            "CLUDALE_CACHE": str(cache_folder().absolute()),  # the copy has no parts of its own
        },
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def seen(project: Path) -> dict[str, Any]:
    """What the code of the copy says and does."""
    found: dict[str, Any] = json.loads(run(project, "-W", "ignore::DeprecationWarning", "-c", LOOK))
    return found


def test_its_routes_are_there_and_want_the_credentials_that_they_say(seen: dict[str, Any]) -> None:
    assert seen["owner"] == "waitlist"
    assert seen["paths"] == ["/waitlist"]
    assert seen["running"]["without a key"] == 401
    assert seen["running"]["dead letters"] == 200


def test_the_openapi_document_has_it(seen: dict[str, Any]) -> None:
    document = seen["openapi"]
    assert document["paths"]["/waitlist"]["get"]["security"] == [{"organizer": []}]
    assert "/waitlist/-/dead-letters" in document["paths"]
    assert {"name": "waitlist", "description": "Who wants seats that come back"} in document["tags"]


def test_it_hears_what_it_has_a_handler_for_and_audit_hears_it(seen: dict[str, Any]) -> None:
    assert seen["heard"]["waitlist"] == ["SeatsReleased"]
    (events, dead_letters) = seen["subscriptions"]
    assert events["topic"] == "concert-events"
    assert dead_letters["topic"] == "waitlist-dead-letters"
    assert "WaitlistMoved" in seen["catalogue"]
    assert seen["catalogue"] == seen["heard"]["audit"]


def test_its_records_have_their_place_in_every_store(seen: dict[str, Any]) -> None:
    assert ["waitlist", "move", ["concertId"], ["concertId"], False, False] in seen["kinds"]
    assert seen["container"] == ["concertId"]


def test_it_is_at_work_with_the_others(seen: dict[str, Any]) -> None:
    (move,) = seen["running"]["moves"]
    assert (move["concertId"], move["quantity"]) == ("c1", 2)
    (event,) = seen["running"]["recorded"]
    assert event["source"] == "waitlist"


def test_a_release_knows_it(seen: dict[str, Any]) -> None:
    assert ["GET", "/waitlist?concertId=c1", 200, True] in seen["probes"]
    assert seen["order"].index("waitlist") < seen["order"].index("concerts")


def test_the_command_line_names_it_and_the_simulator_runs_it(seen: dict[str, Any]) -> None:
    assert "waitlist" in seen["help"]
    assert seen["simulated"] == [[], [], []]


def test_the_files_of_the_deployed_shapes_have_it(project: Path) -> None:
    def components(file: str) -> dict[str, dict[str, Any]]:
        documents = yaml.safe_load_all((project / "docker/components" / file).read_text(encoding="utf-8"))
        return {each["metadata"]["name"]: each for each in documents}

    nats = components("nats/pubsub.yaml")
    assert {name for name, each in nats.items() if "waitlist" in each["scopes"]} == {
        "events",
        "concert-events",
        "dead-letters",
    }
    assert nats["waitlist-events"]["scopes"] == ["audit"]
    assert "waitlist" in components("rabbitmq/pubsub.yaml")["events"]["scopes"]
    targets = components("common/resiliency.yaml")["cludale"]["spec"]["targets"]
    assert "waitlist" in targets["apps"]
    assert "waitlist-events" in targets["components"]
    catalogue = json.loads((project / "infra/generated/catalogue.json").read_text(encoding="utf-8"))
    assert [each["topic"] for each in catalogue["subscriptions"] if each["name"] == "waitlist"] == ["concert-events"]
    assert "waitlist" in [each["resource"]["id"] for each in catalogue["cosmos"]["containers"]]
    events = (project / "docs/develop/architecture.md").read_text(encoding="utf-8")
    assert "| `SeatsReleased` | concerts | audit, waitlist |" in events
    assert "| `WaitlistMoved` | waitlist | audit |" in events


@pytest.mark.slow
def test_the_tests_that_list_the_services_hold_for_seven(project: Path) -> None:
    lists = [
        "product/services/test_catalogue.py",
        "operations/docker/test_files.py",
        "operations/infra/test_files.py",
        "operations/infra/test_infra.py",
    ]
    lists += [
        "operations/release/test_decisions.py",
        "operations/release/test_naming.py",
        "product/adapters/cosmos/test_documents.py",
    ]
    run(project, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *(f"tests/{each}" for each in lists))


@pytest.mark.slow
def test_the_simulator_runs_it_with_the_others(project: Path) -> None:
    run(project, "-m", "cludale_proof.simulator", "--seeds", "2")


@pytest.mark.slow
def test_the_contracts_between_the_layers_hold(project: Path) -> None:
    tool = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    run(project, "-c", tool)


@pytest.mark.parametrize(
    "step", ["`NAMES`", "`MANIFEST`", "`HANDLERS`", "`KINDS`", "`TOPIC`", "`STATUS`", "`make infra`"]
)
def test_contributing_names_each_step_that_is_taken_here(step: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (section,) = [each for each in text.split("\n## ") if each.startswith("Add a service\n")]
    assert step in section
