"""Tickets as data: what the rest of the platform has to know of it."""

from datetime import timedelta

from cludale.services.manifest import HttpParts, Manifest, Parts, Probe, Running
from cludale.services.tickets import api
from cludale.services.tickets.events import TOPIC
from cludale.services.tickets.replay import TicketsReplay
from cludale.services.tickets.service import HANDLERS, Tickets
from cludale.services.tickets.store import KINDS


def _build(parts: Parts) -> Running:
    policies = parts.policies
    tickets = Tickets(
        parts.records("tickets"),
        clock=parts.clock,
        ids=parts.ids,
        keys=parts.ticket_keys,
        pages=parts.ticket_pages,
        seals_of=parts.seals_of,
        programme=parts.programme,
        opens_before=timedelta(seconds=policies.door_opens_seconds),
        reentry=policies.door_reentry,
    )
    return Running(tickets, tickets.handle)


def _api(tickets: Tickets, parts: HttpParts) -> api.TicketsApi:
    return api.TicketsApi(tickets, parts.access, parts.ownership)


MANIFEST = Manifest(
    name="tickets",
    about="What lets buyers in: tickets, their codes, the door",
    topic=TOPIC,
    handlers=HANDLERS,
    kinds=KINDS,
    replay=TicketsReplay(),
    needs=("concerts",),
    build=_build,
    api=_api,
    statuses=api.STATUS,
    probes=(Probe("GET", "/tickets/keys", 200),),
)
