"""Tracing: which trace the work at hand belongs to, for what is called without being told why.

Where a request, an event or a hold request carries its trace (`traceparent`), that is what counts. This is for the
rest: a payment provider's adapter, a log line. Nothing here costs anything to those who don't look.
"""

from contextvars import ContextVar

TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""W3C trace context of what is being done in this task; None where nobody traces it."""

UNTRACED = f"00-{1:032x}-{1:016x}-00"
"""A trace context that says: not recorded. A sidecar begins a trace of its own for whatever comes without one."""
