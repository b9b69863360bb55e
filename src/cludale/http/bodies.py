"""JSON bodies: bytes to typed values, strictly, and every fault named by its field."""

import re
from collections.abc import Iterator
from typing import Any, Generic, NoReturn, TypeVar

import msgspec
from msgspec import inspect

from cludale.http.problems import UnsupportedMediaType
from cludale.http.repeats import repeated_names
from cludale.kernel.refusals import Invalid

T = TypeVar("T")

_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(.*)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*)`$")
_OF_ANOTHER_FORM = re.compile(r"^expected `str` matching regex (.*)$", re.DOTALL)

_NOT_JSON = re.compile(
    r"^(multipart/|image/|audio/|video/|text/(html|xml|csv)|application/(.*\+)?(xml|yaml|pdf|msgpack))"
)
"""Media types that are clearly something else. The form type is not among them: it is what `curl -d` says of JSON."""

NOTHING_CAME = "a JSON object is wanted, nothing came"


class Body(Generic[T]):
    """Decodes request bodies into `type_`."""

    def __init__(self, type_: type[T]) -> None:
        self.type = type_
        self._decode = msgspec.json.Decoder(type_).decode
        self._forms = dict(_forms(inspect.type_info(type_)))

    def decode(self, body: bytes) -> T:
        """The value that `body` holds. Raises Invalid with an entry for every field that is wrong."""
        try:
            value = self._decode(body)
            repeated = repeated_names(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._refuse(body, error)
        if repeated:
            raise Invalid(*((name, "is there twice") for name in repeated))
        return value

    def _refuse(self, body: bytes, error: Exception) -> NoReturn:
        if not isinstance(error, msgspec.ValidationError):
            raise Invalid(("body", _why_unreadable(body, error))) from error
        try:
            raw = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Invalid(fault(error)) from error  # a number beyond any type: the typed decoder knew the field
        faults = faults_of(raw, self.type) or [fault(error)]
        raise Invalid(*((field, self._in_words(what)) for field, what in faults)) from error

    def _in_words(self, what: str) -> str:
        """A pattern is for machines: what it stands for, as the type describes it."""
        pattern = _OF_ANOTHER_FORM.match(what)
        return what if pattern is None else self._forms.get(pattern[1], "has another form than this field takes")


def _forms(type_: inspect.Type) -> Iterator[tuple[str, str]]:
    """Each pattern within a type, as msgspec's complaints write it, with what to say in its place."""
    match type_:
        case inspect.Metadata(type=inspect.StrType(pattern=str(pattern)), extra_json_schema={"description": words}):
            yield repr(pattern), f"must be {words}"
        case inspect.Metadata(type=within) | inspect.ListType(item_type=within):
            yield from _forms(within)
        case inspect.UnionType(types=types):
            for each in types:
                yield from _forms(each)
        case inspect.StructType(fields=fields):
            for field in fields:
                yield from _forms(field.type)


def check_media_type(content_type: str | None) -> None:
    """Raises UnsupportedMediaType for what is clearly no JSON."""
    if content_type and _NOT_JSON.match(content_type.lower()):
        raise UnsupportedMediaType(content_type.partition(";")[0][:100])


def fault(error: msgspec.ValidationError) -> tuple[str, str]:
    """The field, as the caller wrote it (`sections[0].price.amount`), and what is wrong with it."""
    match = _AT.match(str(error))
    what, path = (match["what"], match["path"] or "") if match else (str(error), "")
    path = path.removeprefix(".")
    for pattern, message in ((_MISSING, "is required"), (_UNKNOWN, "is not known here")):
        if named := pattern.match(what):
            return f"{path}.{named[1]}".removeprefix("."), message
    return path or "body", what[:1].lower() + what[1:]


def faults_of(raw: object, type_: type[Any]) -> list[tuple[str, str]]:
    """Everything that is wrong with the fields of an object, where msgspec itself stops at the first fault."""
    if not isinstance(raw, dict) or not issubclass(type_, msgspec.Struct):
        return []
    faults: list[tuple[str, str]] = []
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    for name, field in fields.items():
        if name not in raw:
            if field.required:
                faults.append((name, "is required"))
            continue
        try:
            msgspec.convert(raw[name], field.type)
        except msgspec.ValidationError as error:
            where, what = fault(error)
            faults.append((name if where == "body" else _join(name, where), what))
    if type_.__struct_config__.forbid_unknown_fields:
        faults += [(str(name)[:100], "is not known here") for name in raw if name not in fields]
    return faults[:50]


def _join(name: str, path: str) -> str:
    return f"{name}{path}" if path.startswith("[") else f"{name}.{path}"


def _why_unreadable(body: bytes, error: Exception) -> str:
    if not body.strip():
        return NOTHING_CAME
    match error:
        case RecursionError():
            return "is nested too deeply"
        case UnicodeDecodeError():
            return "is not UTF-8"
        case _:
            return str(error)
