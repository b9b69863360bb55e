"""How api.py files say their routes: Litestar handlers whose bodies, parameters and errors are ours.

Bodies go through `bodies.Body` (strict, every fault named), and answers are sent as the bytes that they are, so that
a route answers the same through Litestar as through the express lane.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, TypeVar

import msgspec
from litestar import Response
from litestar.connection import ASGIConnection, Request
from litestar.dto import AbstractDTO
from litestar.exceptions import ValidationException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from litestar.types import Guard
from litestar.typing import FieldDefinition

from cludale.http.access import Access
from cludale.http.answers import Answer
from cludale.http.bodies import NOTHING_CAME, Body, check_media_type, check_no_body, fault, read_only_schemas
from cludale.http.keyed import MAX_KEY
from cludale.http.problems import Problems, Statuses
from cludale.kernel.refusals import Invalid

T = TypeVar("T")

Authorization = Annotated[str | None, HeaderParameter(name="Authorization", include_in_schema=False)]
"""Who asks. OpenAPI says it as a security requirement."""

Traceparent = Annotated[
    str | None,
    HeaderParameter(name="traceparent", description="W3C trace context; goes along with every event it causes"),
]

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description=(
            "The same key and body get the same answer, byte for byte, and nothing happens twice. A refusal that time "
            "or stock undoes (`not-on-sale`, `seats-unavailable`, `price-too-high`) is not kept: asked again with its "
            "key, the same request may be met."
        ),
        schema_extra={"min_length": 1, "max_length": MAX_KEY, "pattern": "^[ -~]+$"},
    ),
]

ORGANIZER: list[dict[str, list[str]]] = [{"organizer": []}]
"""Security requirement: the organizer's key."""
BUYER: list[dict[str, list[str]]] = [{"buyer": []}, {"organizer": []}]
"""Security requirement: the order's access token, or the organizer's key."""
ANYONE: list[dict[str, list[str]]] = [{}]

READS_BODY = "reads_body"
"""The `opt` of a handler that takes a body and reads it itself."""

_MAX_TRACEPARENT = 512
_WHOLE = re.compile(r"-?(?:0|[1-9]\d*)", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?", re.ASCII)


class ExpressRequest(NamedTuple):
    """A request below the framework. `segment` is what the path has in place of `{…}`; header names in lower case."""

    segment: str
    headers: Mapping[bytes, bytes]
    body: bytes

    def header(self, name: bytes) -> str | None:
        """The header's value, as far as it is text."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


ExpressHandler = Callable[[ExpressRequest], Answer | Awaitable[Answer]]
"""One that has its answer at once may give it at once, without raising: a buyer turned away costs a third of that."""
Express = Mapping[tuple[str, str], ExpressHandler]
"""(method, path) → handler; the path may have one `{…}` segment."""


class JsonBody(AbstractDTO[T], Generic[T]):
    """`dto=JsonBody[PlaceOrder]`: the handler's `data` is decoded as the express lane decodes it."""

    body: ClassVar[Body[Any]]

    def __class_getitem__(cls, type_: Any) -> type["JsonBody[Any]"]:
        if isinstance(type_, TypeVar):
            return cls
        return type(f"JsonBody[{type_.__name__}]", (cls,), {"body": Body(type_), "model_type": type_})

    @classmethod
    def create_for_field_definition(cls, *_: Any, **__: Any) -> None:
        """Nothing to make: the type is decoded as it stands."""

    @classmethod
    def create_openapi_schema(cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any) -> Any:  # noqa: ARG003
        """The type's own schema."""
        return schema_creator.for_field_definition(field_definition)

    def decode_bytes(self, value: bytes) -> Any:
        """The body's value. Raises UnsupportedMediaType, Invalid."""
        check_media_type(self.asgi_connection.headers.get("content-type"))
        return self.body.decode(value)


def respond(answer: Answer) -> Response[Any]:
    """The answer as Litestar sends it: the same bytes."""
    # As a header, for to a media type of text the framework adds a charset, whether it has one or not.
    headers = {"content-type": answer.media_type, **dict(answer.headers)}
    return Response(content=answer.body, status_code=answer.status, media_type=answer.media_type, headers=headers)


def usable_trace(traceparent: str | None) -> str | None:
    """The trace context, unless nobody could use it; tracing is no reason to refuse a request."""
    if traceparent is None or len(traceparent) > _MAX_TRACEPARENT or not traceparent.isascii():
        return None
    return traceparent


class Problem(msgspec.Struct, rename="camel"):
    """An error (RFC 9457). Refusals add their own values beside these, `left` for example."""

    type: str
    """A stable name: `/problems/seats-unavailable`."""
    title: str
    status: int
    detail: str
    errors: list["FieldError"] | None = None


class FieldError(msgspec.Struct):
    """What is wrong with which field of the request."""

    field: str
    message: str


def refusals(statuses: Statuses, *kinds: type[Exception]) -> dict[int, ResponseSpec]:
    """The `responses` of a handler: each refusal that it may answer, under its status."""
    problems = Problems(statuses)
    by_status: dict[int, list[str]] = {}
    for kind in kinds:
        page = problems.page_of(kind)
        by_status.setdefault(page.status, []).append(f"`{page.name}`: {page.meaning.partition(chr(10))[0]}")
    return {
        status: ResponseSpec(
            Problem,
            description=" ".join(lines),
            media_type="application/problem+json",
            generate_examples=False,
        )
        for status, lines in sorted(by_status.items())
    }


def organizer_only(access: Access) -> Guard:
    """A guard: raises Unauthorized, before anything else is looked at."""

    def check(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        access.check_organizer(connection.headers.get("authorization"))

    return check


def check_parameters(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A guard: a query parameter that nobody reads, one that is given twice, or a number that others read otherwise
    would mislead whoever sent it. Raises Invalid.
    """
    given = connection.query_params
    if not given:
        return
    known = _query_fields(handler)
    listed = ", ".join(sorted(known)) or "none"
    faults: list[tuple[str, str]] = []
    for name in given:
        values = given.getall(name)
        if name not in known:
            faults.append((name[:100], f"is not a parameter here (known: {listed})"))
        elif len(values) > 1:
            faults.append((name, "is given more than once"))
        elif message := _fault_of_number(known[name], values[0]):
            faults.append((name, message))
    if faults:
        raise Invalid(*faults[:50])


async def check_empty_body(request: Request[Any, Any, Any]) -> None:
    """A hook before each request: a field that nobody reads would mislead whoever sent it. Raises Invalid."""
    handler = request.route_handler
    headers = request.headers
    if "content-length" not in headers and "transfer-encoding" not in headers:
        return
    if "data" not in handler.parsed_fn_signature.parameters and not handler.opt.get(READS_BODY):
        check_no_body(await request.body())


def _query_fields(handler: BaseRouteHandler) -> Mapping[str, FieldDefinition]:
    if not isinstance(handler, HTTPRouteHandler):
        return {}
    named = ((_external_name(field), field) for field in handler.parsed_fn_signature.parameters.values())
    return {name: field for (kind, name), field in named if kind == "query"}


def _fault_of_number(field: FieldDefinition, value: str) -> str | None:
    """One rule for all numbers: digits as people write them, no sign before them but a minus, no exponent."""
    types = {each.annotation for each in (field, *field.inner_types)}
    if int in types and not _WHOLE.fullmatch(value):
        return "must be a whole number in digits: 50"
    if float in types and not _DECIMAL.fullmatch(value):
        return "must be a number in digits: 2 or 1.5"
    return None


def _external_name(field: FieldDefinition) -> tuple[str, str]:
    """Where a handler's parameter comes from, and what the caller calls it."""
    definition = field.kwarg_definition
    if isinstance(definition, QueryParameter | HeaderParameter):
        return definition.param_type.value, definition.name or field.name
    return "path", field.name


def _choices(field: FieldDefinition) -> list[str]:
    """The values of a parameter that takes one of a few."""
    types = (each.annotation for each in (field, *field.inner_types))
    return [member.value for type_ in types if isinstance(type_, type) and issubclass(type_, Enum) for member in type_]


def shown_schemas(handlers: Iterable[HTTPRouteHandler]) -> Mapping[str, tuple[str, frozenset[str]]]:
    """Of each schema within a request: the schema that shows it, and which of that one's fields are read-only."""
    dtos = (handler.dto for handler in handlers)
    bodies = (dto.body.type for dto in dtos if isinstance(dto, type) and issubclass(dto, JsonBody))
    return {name: shown for body in bodies for name, shown in read_only_schemas(body)}


def invalid_parameters(request: Request[Any, Any, Any], error: ValidationException) -> Invalid:
    """Litestar's complaint about parameters, with the names that the caller used."""
    fields = request.route_handler.parsed_fn_signature.parameters
    names = {name: _external_name(field)[1] for name, field in fields.items()}
    extra = error.extra if isinstance(error.extra, list) else []
    faults = []
    for each in extra:
        key = str(each.get("key", "request")).partition(".")[0]
        if key == "data":  # a body that is there is decoded by JsonBody, so this one wasn't
            faults.append(("body", NOTHING_CAME))
            continue
        _, what = fault(msgspec.ValidationError(str(each["message"])))
        if what.startswith("invalid enum value") and key in fields:
            what = f"must be one of {', '.join(_choices(fields[key]))}"
        faults.append((names.get(key, key), what))
    return Invalid(*(faults or [("request", error.detail)]))
