"""Sampling: which traces are recorded. Who calls from outside has no say in that, and what is recorded says its share.

A recorded trace costs more CPU than the order. The caller's flag would let anyone have all of them recorded, and so
would the caller's trace id, by which OpenTelemetry's ratio sampler decides: at the edge it is given another one.
"""

import re
from collections.abc import Sequence

from opentelemetry.context import Context, create_key, get_value, set_value
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

SAMPLE_RATE = "_MS.sampleRate"
"""A span's attribute, in per cent. Application Insights' exporter makes its envelope's sample rate of it: an item of
rate 10 counts as ten there, and one without a rate as one."""

_OUTSIDE = create_key("cludale-outside")
_NOTHING = Context()
_RATIO = re.compile(r"TraceIdRatioBased\{([0-9.eE+-]+)\}")
"""How OpenTelemetry's specification has a ratio sampler describe itself, also as the root of another one."""


def from_outside(context: Context) -> Context:
    """The same trace, of which the caller does not say whether it is recorded."""
    return set_value(_OUTSIDE, "outside", context)


def share_of(sampler: Sampler) -> float:
    """The share of traces that it records, from 0 to 1; 1 where it has none."""
    found = _RATIO.search(sampler.get_description())
    return 1.0 if found is None else float(found[1])


class EdgeSampler(Sampler):
    """Decides by another sampler; of what comes from outside as if it had no caller."""

    def __init__(self, inner: Sampler, ids: IdGenerator | None = None) -> None:
        self._inner = inner
        self._ids = RandomIdGenerator() if ids is None else ids
        share = share_of(inner)
        self._rate = {SAMPLE_RATE: 100 * share} if 0 < share < 1 else {}

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """The other one's decision, with the rate where it is recorded."""
        if parent_context is not None and get_value(_OUTSIDE, parent_context):
            parent_context, trace_id = _NOTHING, self._ids.generate_trace_id()
        result = self._inner.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        if not self._rate or result.decision is not Decision.RECORD_AND_SAMPLE:
            return result
        return SamplingResult(result.decision, {**result.attributes, **self._rate}, result.trace_state)

    def get_description(self) -> str:
        """The other one's, for whoever looks."""
        return f"EdgeSampler{{{self._inner.get_description()}}}"
