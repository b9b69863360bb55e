"""Concerts as data: what the rest of the platform has to know of it."""

from cludale.services.concerts import api, holds_api, key_api, pairing_api, session_api, sign_out_api
from cludale.services.concerts.blocks import api as block_api
from cludale.services.concerts.buyers.service import Quotas
from cludale.services.concerts.carts import api as cart_api
from cludale.services.concerts.changes import api as change_api
from cludale.services.concerts.codes import api as code_api
from cludale.services.concerts.events import TOPIC
from cludale.services.concerts.replay import ConcertsReplay
from cludale.services.concerts.seat_moves import api as seat_move_api
from cludale.services.concerts.seat_plans import api as seat_plan_api
from cludale.services.concerts.seat_plans import check_api as seat_plan_check_api
from cludale.services.concerts.service import Concerts
from cludale.services.concerts.store import KINDS
from cludale.services.concerts.waiting import api as waiting_api
from cludale.services.manifest import HttpParts, Manifest, Parts, Probe, Running


def _build(parts: Parts) -> Running:
    policies = parts.policies
    concerts = Concerts(
        parts.records("concerts"),
        clock=parts.clock,
        ids=parts.ids,
        hold_seconds=policies.hold_seconds,
        max_per_order=policies.max_per_order,
        admission=parts.admission,
        commit_limit=policies.commit_limit,
        partitions_apart=policies.partitions_apart,
        call_offs=parts.call_offs,
        entrance=parts.entrance,
        quotas=Quotas(
            holds_per_buyer=policies.holds_per_buyer,
            holds_per_address=policies.holds_per_address,
            lapses=policies.lapsed_holds,
            pause_seconds=policies.lapsed_pause_seconds,
        ),
        offer_seconds=policies.offer_seconds,
    )
    return Running(concerts, concerts.handle, concerts.sweep, gauges=concerts.gauges)


def _api(concerts: Concerts, parts: HttpParts) -> tuple[object, ...]:
    return (
        api.ConcertsApi(concerts, parts.records("concerts"), parts.access),
        holds_api.HoldsApi(concerts, api.PROBLEMS),
        cart_api.CartHoldsApi(concerts, api.PROBLEMS),
        change_api.ChangesApi(concerts),
        code_api.CodesApi(concerts),
        block_api.BlocksApi(concerts, parts.records("concerts")),
        waiting_api.WaitingApi(concerts),
        seat_plan_api.SeatsApi(concerts, concerts.clock),
        seat_move_api.SeatMovesApi(concerts, parts.records("concerts")),
        seat_plan_check_api.SeatPlansApi(concerts.seat_plans),
        key_api.KeysApi(concerts.keys, parts.access.digest, concerts.directory.details),
        session_api.SessionsApi(concerts.sessions, concerts.keys, parts.access, parts.issuer, parts.sign_in),
        sign_out_api.SignOutApi(concerts.sessions, parts.issuer),
        pairing_api.PairingApi(concerts.pairing, parts.access.digest, concerts.directory.details),
    )


MANIFEST = Manifest(
    name="concerts",
    about="Concerts, their seats, and holds on them",
    topic=TOPIC,
    handlers=Concerts.HANDLERS,
    kinds=KINDS,
    replay=ConcertsReplay(),
    build=_build,
    api=_api,
    statuses={
        **api.STATUS,
        **cart_api.STATUS,
        **change_api.STATUS,
        **code_api.STATUS,
        **block_api.STATUS,
        **key_api.STATUS,
        **seat_move_api.STATUS,
        **session_api.STATUS,
        **sign_out_api.STATUS,
        **pairing_api.STATUS,
    },
    probes=(
        Probe("GET", "/concerts?limit=1", 200),
        Probe("GET", "/concerts/smoke-test-of-nothing", 404),
    ),
)
