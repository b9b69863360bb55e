"""The one wire codec: envelopes to bytes and back, checked against the catalogue."""

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from cludale.kernel.events import Catalogue, Envelope
from cludale.kernel.flat import FlatJson

JSON = "application/cloudevents+json"


class Malformed(ValueError):
    """These bytes are no event of ours; the message says why. It will not get better by a retry."""


class _Raw(msgspec.Struct, frozen=True, gc=False):
    specversion: str
    id: str
    type: str
    source: str
    subject: str
    time: datetime
    data: msgspec.Raw
    datacontenttype: str = "application/json"
    dataversion: str = "1"
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None
    repeated: bool = False


class Codec:
    """Encodes and decodes the events of one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._raw = msgspec.json.Decoder(_Raw)
        self._data = {name: (kind.data_version, FlatJson(kind)) for name, kind in catalogue.types.items()}
        self.encoders: Mapping[str, Callable[[Envelope], bytes]] = {
            name: json.encode for name, (_, json) in self._data.items()
        }
        """By event type: what makes structured CloudEvents JSON of an envelope with such data, which stand last."""

    def encode(self, envelope: Envelope) -> bytes:
        """The envelope as structured CloudEvents JSON."""
        return self.encoders[envelope.type](envelope)

    def decode(self, body: bytes | str) -> Envelope:
        """The envelope that `body` holds, its data typed. Raises Malformed, naming what is wrong."""
        try:
            raw = self._raw.decode(body)
            if raw.type not in self._data:
                raise Malformed(f"unknown event type {raw.type!r}")
            version, json = self._data[raw.type]
            if raw.dataversion != version and _major(raw.dataversion) != _major(version):
                raise Malformed(f"{raw.type} of version {raw.dataversion!r}, and only {version!r} is known here")
            data = json.decode(raw.data)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise Malformed(str(error)) from error
        if raw.specversion != "1.0":
            raise Malformed(f"unknown specversion {raw.specversion!r}")
        return Envelope(
            specversion=raw.specversion,
            id=raw.id,
            type=raw.type,
            source=raw.source,
            subject=raw.subject,
            time=raw.time,
            datacontenttype=raw.datacontenttype,
            dataversion=raw.dataversion,
            data=data,
            correlationid=raw.correlationid,
            causationid=raw.causationid,
            traceparent=raw.traceparent,
            repeated=raw.repeated,
        )


def _major(version: str) -> str:
    """What changes when readers of the version before could no longer read it; fields with a default are minor."""
    return version.partition(".")[0]
