"""Tickets as data: what the rest of the platform has to know of it."""

from datetime import timedelta

from cludale.services.manifest import HttpParts, Manifest, Parts, Probe, Running
from cludale.services.tickets import api, door_api, transfer_api
from cludale.services.tickets.events import TOPIC
from cludale.services.tickets.replay import TicketsReplay
from cludale.services.tickets.service import HANDLERS, Tickets
from cludale.services.tickets.store import KINDS

STATUSES = {**api.STATUS, **door_api.STATUS}


def _build(parts: Parts) -> Running:
    policies = parts.policies
    tickets = Tickets(
        parts.records("tickets"),
        clock=parts.clock,
        ids=parts.ids,
        keys=parts.ticket_keys,
        pages=parts.ticket_pages,
        seals_of=parts.seals_of,
        wallets=parts.wallets,
        programme=parts.programme,
        contacts=parts.contacts,
        opens_before=timedelta(seconds=policies.door_opens_seconds),
        reentry=policies.door_reentry,
        snapshot_life=timedelta(seconds=policies.door_offline_seconds),
    )
    return Running(tickets, tickets.handle, stop=tickets.doors.close)


def _api(tickets: Tickets, parts: HttpParts) -> tuple[object, ...]:
    shown = api.TicketsApi(tickets, parts.access, parts.ownership)
    return (
        door_api.DoorApi(tickets.doors, parts.ownership),
        shown,
        transfer_api.TransferApi(tickets, shown, parts.access, parts.records("tickets"), STATUSES),
    )


MANIFEST = Manifest(
    name="tickets",
    about="What lets buyers in: tickets, their codes, the door",
    topic=TOPIC,
    handlers=HANDLERS,
    kinds=KINDS,
    replay=TicketsReplay(),
    needs=("concerts", "orders"),
    build=_build,
    api=_api,
    statuses=STATUSES,
    probes=(Probe("GET", "/tickets/keys", 200),),
)
