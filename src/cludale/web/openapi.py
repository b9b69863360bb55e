"""The OpenAPI 3.1 document, made of the routes and of the types that they read and answer."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from inspect import getdoc
from typing import Any

import msgspec
from msgspec import inspect

from cludale.kernel.refusals import IdempotencyKeyInFlight, IdempotencyKeyReused, Invalid
from cludale.ports.records import UnusableCursor
from cludale.web.bodies import read_only_fields
from cludale.web.keyring import KeysUnknown
from cludale.web.problems import Problem, ProblemPage, ScopeMissing, Unauthorized
from cludale.web.routing import IDEMPOTENCY_KEY, Credential, Route

_REF = "#/components/schemas/"
_PROBLEM = {"application/problem+json": {"schema": {"$ref": Problem}}}
_PARAMETER = re.compile(r"\{(\w+)\}")
_SECURITY: Mapping[Credential, list[dict[str, list[str]]]] = {
    Credential.NONE: [{}],
    Credential.BUYER: [{"buyer": []}, {"organizer": []}],
    Credential.ORGANIZER: [{"organizer": []}],
    Credential.SESSION: [{"organizer": []}],
}
_BOUNDS = {
    "ge": "minimum",
    "le": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
_SIZES = {"min_length": "minLength", "max_length": "maxLength"}
_COUNTS = {"min_length": "minItems", "max_length": "maxItems"}

PageOf = Callable[[type[Exception]], ProblemPage]


def document(
    routes: Iterable[Route], *, version: str, description: str, tags: Mapping[str, str], page_of: PageOf
) -> bytes:
    """The document about those of `routes` that have a summary, as JSON. `tags`: each with what it is about."""
    schemas = _Schemas()
    schemas.of(Problem)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.summary:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, page_of)
    bearer = {"type": "http", "scheme": "bearer"}
    names, shown = schemas.all()
    written = {
        "openapi": "3.1.0",
        "info": {
            "title": "Cludale Tickets",
            "version": version,
            "description": description,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in tags.items()],
        "paths": paths,
        "components": {
            "schemas": shown,
            "securitySchemes": {
                "organizer": bearer
                | {"description": "A key of the organizer's. Which `x-scope` it needs, each operation says."},
                "buyer": bearer | {"description": "The `accessToken` of the order."},
            },
        },
    }
    return msgspec.json.encode(written, enc_hook=lambda cls: _REF + names[cls])


def _operation(route: Route, schemas: "_Schemas", page_of: PageOf) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.summary,
        "security": _SECURITY[route.credential],
        **({} if route.scope is None else {"x-scope": route.scope}),
        "parameters": list(_parameters(route, schemas)),
        "responses": {
            **{
                str(status): {
                    "description": reply.description or HTTPStatus(status).description,
                    "content": {
                        reply.media_type: {"schema": schemas.of(reply.type)}
                        if reply.media_type == "application/json"
                        else {},
                        **{media_type: {} for media_type in reply.files},
                    },
                }
                for status, reply in route.replies.items()
            },
            **_refusals(route, page_of),
            "default": {"description": "Any other error, as a problem.", "content": _PROBLEM},
        },
    }
    if route.description:
        operation["description"] = route.description
    if route.body is not None:
        content = {"application/json": {"schema": schemas.of(route.body, is_body=True)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameters(route: Route, schemas: "_Schemas") -> Iterable[dict[str, Any]]:
    for name in _PARAMETER.findall(route.path):
        yield {"in": "path", "name": name, "required": True, "schema": {"type": "string"}}
    for field in msgspec.structs.fields(route.query) if route.query is not None else ():
        schema = schemas.of(field.type)
        described = {"description": schema.pop("description")} if "description" in schema else {}
        if "anyOf" in schema:  # a parameter is there or not, and never null
            schema = next(each for each in schema["anyOf"] if each != {"type": "null"})
        if not field.required and field.default is not None:
            schema = schema | {"default": msgspec.to_builtins(field.default)}
        yield {"in": "query", "name": field.encode_name, "required": field.required, **described, "schema": schema}
    for header in route.headers:
        yield {
            "in": "header",
            "name": header.name,
            "required": False,
            "description": header.description,
            "schema": {"type": "string", **header.schema},
        }


def _refusals(route: Route, page_of: PageOf) -> dict[str, Any]:
    """Each refusal under its status, with those that follow from what the route takes."""
    fields = () if route.query is None else route.query.__struct_encode_fields__
    kinds: Sequence[type[Exception]] = [
        *([Unauthorized] if route.credential in (Credential.ORGANIZER, Credential.SESSION) else []),
        *([ScopeMissing, KeysUnknown] if route.scope is not None else []),
        *([Invalid] if route.body is not None or fields else []),
        *([UnusableCursor] if "after" in fields else []),
        *([IdempotencyKeyInFlight, IdempotencyKeyReused] if IDEMPOTENCY_KEY in route.headers else []),
        *route.refusals,
    ]
    by_status: dict[int, list[str]] = {}
    for page in (page_of(kind) for kind in dict.fromkeys(kinds)):
        by_status.setdefault(page.status, []).append(f"`{page.name}`: {page.meaning.partition(chr(10))[0]}")
    return {
        str(status): {"description": " ".join(lines), "content": _PROBLEM}
        for status, lines in sorted(by_status.items())
    }


class _Schemas:
    """The schemas of all types that were asked for. What refers to a class has the class; its name is found last."""

    def __init__(self) -> None:
        self._found: dict[Any, dict[str, Any]] = {}
        self._bodies: set[Any] = set()

    def all(self) -> tuple[Mapping[Any, str], Mapping[str, Any]]:
        """The name of each class, and its schema by that name."""
        names = _names(self._found)
        described = {cls: getdoc(getattr(cls, "__origin__", cls)) for cls in names}
        return names, {
            name: {"title": name, "description": described[cls], **self._found[cls]}
            for cls, name in sorted(names.items(), key=lambda each: each[1])
        }

    def of(self, type_: Any, *, is_body: bool = False) -> dict[str, Any]:
        """The schema of a type: of a class, a reference to its own schema.

        A body is strict: none of the objects within it takes a field that is not known.
        """
        return self._schema_for(inspect.type_info(type_), is_body=is_body)

    def _schema_for(self, type_: inspect.Type, *, is_body: bool) -> dict[str, Any]:
        schema: dict[str, Any]
        match type_:
            case inspect.Metadata(type=within, extra_json_schema=more):
                schema = {**self._schema_for(within, is_body=is_body), **(more or {})}
            case inspect.UnionType(types=types):
                each = [self._schema_for(one, is_body=is_body) for one in types]
                schema = each[0] if len(each) == 1 else {"anyOf": each}
                for one in each if len(each) > 1 else ():
                    if "description" in one:  # of the field, whether it is null or not
                        schema["description"] = one.pop("description")
            case inspect.StructType(cls=cls) | inspect.EnumType(cls=cls):
                self._whole(cls, is_body=is_body)
                schema = {"$ref": cls}
            case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
                schema = {"type": "array", "items": self._schema_for(item, is_body=is_body), **_limits(type_, _COUNTS)}
            case inspect.DictType(value_type=value):
                schema = {"type": "object", "additionalProperties": self._schema_for(value, is_body=is_body)}
            case _:
                schema = _scalar(type_)
        return schema

    def _whole(self, cls: Any, *, is_body: bool) -> None:
        """Find the schema of a class, once as an answer and once more as a body."""
        if cls in self._found and (not is_body or cls in self._bodies):
            return
        self._found.setdefault(cls, {})  # it may be within itself
        type_ = inspect.type_info(cls)
        if not isinstance(type_, inspect.StructType):
            self._found[cls] = {"type": "string", "enum": [each.value for each in cls]}
            return
        properties = {each.encode_name: self._property(each, is_body=is_body) for each in type_.fields}
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        if required := [each.encode_name for each in type_.fields if each.required]:
            schema["required"] = required
        if is_body:
            self._bodies.add(cls)
            schema["additionalProperties"] = False
            if names := read_only_fields(cls):
                self._whole(cls.SHOWN_AS, is_body=False)
                shown = self._found[cls.SHOWN_AS]["properties"]
                properties |= {each: {**shown[each], "readOnly": True} for each in sorted(names)}
        self._found[cls] = schema

    def _property(self, field: inspect.Field, *, is_body: bool) -> dict[str, Any]:
        schema = self._schema_for(field.type, is_body=is_body)
        if field.default in (msgspec.NODEFAULT, msgspec.UNSET, None):
            return schema
        return {**schema, "default": msgspec.to_builtins(field.default)}


def _scalar(type_: inspect.Type) -> dict[str, Any]:
    match type_:
        case inspect.StrType(pattern=pattern):
            form = {} if pattern is None else {"pattern": pattern.removesuffix(r"(?!\n)")}
            return {"type": "string", **_limits(type_, _SIZES), **form}
        case inspect.IntType():
            return {"type": "integer", **_limits(type_, _BOUNDS)}
        case inspect.FloatType():
            return {"type": "number", **_limits(type_, _BOUNDS)}
        case inspect.DateTimeType():
            return {"type": "string", "format": "date-time"}
        case inspect.BoolType() | inspect.NoneType():
            return {"type": "boolean" if isinstance(type_, inspect.BoolType) else "null"}
    return {}  # anything


def _limits(type_: inspect.Type, names: Mapping[str, str]) -> dict[str, Any]:
    found = {written: getattr(type_, name, None) for name, written in names.items()}
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in found.items()
        if value is not None
    }


def _names(classes: Iterable[Any]) -> Mapping[Any, str]:
    """A name for each: its own where no other class has it, else with its service's before it."""
    own = {cls: _own_name(cls) for cls in classes}
    counts = Counter(own.values())
    names: dict[Any, str] = {cls: name for cls, name in own.items() if counts[name] == 1}
    for cls, name in own.items():
        if cls not in names:
            service = str(cls.__module__).split(".")[-2].capitalize()
            choices = (f"{service.removesuffix('s')}{name}", f"{service}{name}")
            names[cls] = next(each for each in choices if each not in names.values())
    return names


def _own_name(cls: Any) -> str:
    """`PageOfOrderView` for `Page[OrderView]`."""
    origin = getattr(cls, "__origin__", None)
    if origin is None:
        return str(cls.__name__)
    return f"{origin.__name__}Of{''.join(each.__name__ for each in cls.__args__)}"
