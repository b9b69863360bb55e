"""Audit as data: what the rest of the platform has to know of it. It hears every event that there is."""

import time

from cludale.services.audit import api
from cludale.services.audit.replay import Redelivery
from cludale.services.audit.sales import Sales
from cludale.services.audit.service import HANDLERS, Audit
from cludale.services.audit.store import KINDS
from cludale.services.manifest import HttpParts, Manifest, Parts, Probe, Running
from cludale.web.ownership import Ownership


def _build(parts: Parts) -> Running:
    policies = parts.policies
    audit = Audit(
        parts.records("audit"),
        parts.clock,
        patience=policies.audit_patience,
        attempts=policies.audit_attempts,
        wait_seconds=policies.audit_wait_seconds,
        waiting_limit=policies.audit_waiting_limit,
        recent_limit=policies.audit_recent,
        commit_limit=policies.commit_limit,
        segment_entries=policies.audit_segment_entries,
    )
    return Running(audit, audit.handle, audit.sweep)


def _api(audit: Audit, parts: HttpParts) -> api.AuditApi:
    redelivery = Redelivery(parts.records("audit"), parts.codec, deliver=parts.deliver, hears=parts.reachable)
    # Whose a concert is, the log itself says: audit asks no other service.
    ownership = Ownership(audit, parts.access.has_one_organizer)
    sales = Sales(parts.records("audit"), clock=time.monotonic)
    return api.AuditApi(audit, redelivery, ownership, sales, now=parts.clock.now)


MANIFEST = Manifest(
    name="audit",
    about="Every event, chained by hashes",
    handlers=HANDLERS,
    kinds=KINDS,
    build=_build,
    api=_api,
    statuses=api.STATUS,
    probes=(
        Probe("GET", "/audit/events?limit=1", 200, as_organizer=True),
        Probe("GET", "/audit/events?limit=1", 401),
    ),
)
