"""JSON bodies: bytes to typed values, strictly, and every fault named by its field in JSON's own words."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar

import msgspec
from msgspec import inspect

from cludale.kernel.refusals import Invalid, shown_name
from cludale.web.problems import UnsupportedMediaType
from cludale.web.repeats import may_repeat, repeated_names

T = TypeVar("T")

Faults = Iterator[tuple[str, str]]
_Check = Callable[[Any, str], Faults]
"""What is wrong within a value that has the right form; the path to the value goes before the faults' own."""

_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(.*)`$", re.DOTALL)
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*)`$", re.DOTALL)
_OTHER_TYPE = re.compile(r"^Expected `([a-z |]+)`, got `(\w+)`$")
_OTHER_FORM = re.compile(r"^Expected `str` matching regex (.*)$", re.DOTALL)
_OTHER_SIZE = re.compile(r"^Expected `(\w+)` of length ([<>]=) (\d+)$")
_OTHER_RANGE = re.compile(r"^Expected `(?:int|float)` ([<>]=?) (\S+)$")

_OTHER_CHOICE = re.compile(r"^invalid enum value ", re.DOTALL)

_NAMES = {
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_SEEN = {**_NAMES, "float": "a number with a point or an exponent", "bool": "a boolean"}
_BOUNDS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}
_UNITS = {"str": "characters", "array": "items", "object": "fields"}

_NOT_JSON = re.compile(
    r"^(multipart/|image/|audio/|video/|text/(html|xml|csv)|application/(.*\+)?(xml|yaml|pdf|msgpack))"
)
"""Media types that are clearly something else. The form type is not among them: it is what `curl -d` says of JSON."""

NOTHING_CAME = "a JSON object is wanted, nothing came"
UNKNOWN_FIELD = "is not a known field"


class Body(Generic[T]):
    """Decodes request bodies into `type_`.

    What a GET answers can be posted back: a struct that says how it is shown (`SHOWN_AS`, a struct, too) takes that
    one's other fields as well. They are read-only: whatever they say, it has no effect.
    """

    def __init__(self, type_: type[T]) -> None:
        self.type = type_
        self._decode = msgspec.json.Decoder(type_).decode
        info = inspect.type_info(type_)
        self._forms = dict(_forms(info))
        self._check = _check_of(info)
        self._leaves = list(_leaves_of(info))
        self._deeper = _deeper_of(info, {name for name, _ in self._leaves})
        self._shown = _shown_of(info)

    def decode(self, body: bytes) -> T:
        """The value that `body` holds. Raises Invalid with an entry for every field that is wrong."""
        try:
            value = self._decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            written = None if self._shown is None else _without_read_only(body, self._shown)
            if written is None:
                self._refuse(body, error)
            try:
                value = self._decode(written)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as other:
                self._refuse(written, other)
        if may_repeat(body):
            self._refuse_repeated(body)
        try:
            for name, check in self._leaves:
                each = getattr(value, name)
                if each is not None and each is not msgspec.UNSET:
                    check(each)
        except ValueError:
            self._refuse_checked(value)
        for name in self._deeper:
            each = getattr(value, name)
            if each is not None and each is not msgspec.UNSET:
                self._refuse_checked(value)
                break
        return value

    def _refuse_repeated(self, body: bytes) -> None:
        try:
            repeated = repeated_names(body)
        except (ValueError, RecursionError) as error:  # of a read-only field, which is not looked into otherwise
            self._refuse(body, error)
        if repeated:
            raise Invalid(*((name, "is there twice") for name in repeated))

    def _refuse_checked(self, value: T) -> None:
        """Names every fault that a check finds; the loop before this is for speed, and stops at the first."""
        faults = [] if self._check is None else list(self._check(value, ""))
        if faults:
            raise Invalid(*faults[:_MOST_FAULTS])

    def _refuse(self, body: bytes, error: Exception) -> NoReturn:
        if not isinstance(error, msgspec.ValidationError):
            raise Invalid(("body", _why_unreadable(body, error))) from error
        try:
            raw = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Invalid(fault(error)) from error  # a number beyond any type: the typed decoder knew the field
        faults = self._faults(raw) or [fault(error, self._forms)]
        raise Invalid(*faults[:_MOST_FAULTS]) from error

    def _faults(self, raw: object) -> list[tuple[str, str]]:
        """Everything that is wrong with the fields of an object, where msgspec itself stops at the first fault."""
        if not isinstance(raw, dict) or not issubclass(self.type, msgspec.Struct):
            return []
        faults: list[tuple[str, str]] = []
        fields = {field.encode_name: field for field in msgspec.structs.fields(self.type)}
        for name, field in fields.items():
            if name not in raw:
                if field.required:
                    faults.append((name, "is required"))
                continue
            try:
                value = msgspec.convert(raw[name], field.type)
            except msgspec.ValidationError as error:
                where, what = fault(error, self._forms)
                if _OTHER_CHOICE.match(what):
                    what = _one_of(inspect.type_info(field.type)) or what
                faults.append((name if where == "body" else _join(name, where), what))
            else:
                check = None if value is None else _check_of(inspect.type_info(field.type))
                faults += () if check is None else check(value, name)
        if self.type.__struct_config__.forbid_unknown_fields:
            faults += [(shown_name(str(name)), UNKNOWN_FIELD) for name in raw if name not in fields]
        return faults


_MOST_FAULTS = 50


def check_no_body(body: bytes) -> None:
    """For a route that takes no body: nothing, `{}` and `null` may come. Raises Invalid, naming each field."""
    if not body or body.isspace():
        return
    try:
        came = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(("body", "must be empty: nothing is read from a body here")) from error
    if came is None or came == {}:
        return
    if not isinstance(came, dict):
        raise Invalid(("body", "must be empty: nothing is read from a body here"))
    raise Invalid(
        *((shown_name(name), f"{UNKNOWN_FIELD}: nothing is read from a body") for name in list(came)[:_MOST_FAULTS])
    )


def _within(type_: inspect.Type) -> Iterator[inspect.Type]:
    """A type, and all that it is made of."""
    yield type_
    match type_:
        case inspect.Metadata(type=within) | inspect.ListType(item_type=within):
            yield from _within(within)
        case inspect.VarTupleType(item_type=within) | inspect.DictType(value_type=within):
            yield from _within(within)
        case inspect.UnionType(types=types):
            for each in types:
                yield from _within(each)
        case inspect.StructType(fields=fields):
            for field in fields:
                yield from _within(field.type)


def _forms(type_: inspect.Type) -> Iterator[tuple[str, str]]:
    """Each pattern within a type, as msgspec's complaints write it, with what to say in its place."""
    for each in _within(type_):
        match each:
            case inspect.Metadata(type=inspect.StrType(pattern=str(pattern)), extra_json_schema={"description": words}):
                yield repr(pattern), f"must be {words}"


def _one_of(type_: inspect.Type) -> str | None:
    """The choices, where a type has one list of them somewhere within."""
    found = {each.cls for each in _within(type_) if isinstance(each, inspect.EnumType)}
    return f"must be one of {', '.join(str(each.value) for each in found.pop())}" if len(found) == 1 else None


def _check_of(type_: inspect.Type) -> _Check | None:
    """What `extra={"check": …}` of the types within a type asks for; None where nothing does."""
    match type_:
        case inspect.Metadata(extra={"check": check}):
            return _leaf(check)
        case inspect.Metadata(type=within):
            return _check_of(within)
        case inspect.ListType(item_type=within):
            return _each(_check_of(within))
        case inspect.UnionType(types=types):
            return next((found for each in types if (found := _check_of(each)) is not None), None)
        case inspect.StructType(fields=fields):
            return _fields(
                [(each.name, each.encode_name, check) for each in fields if (check := _check_of(each.type)) is not None]
            )
    return None


def _leaves_of(type_: inspect.Type) -> Iterator[tuple[str, Callable[[Any], None]]]:
    """The checked fields of a struct that have no fields within, and their checks."""
    if not isinstance(type_, inspect.StructType):
        return
    for field in type_.fields:
        types = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        for each in types:
            if isinstance(each, inspect.Metadata) and each.extra is not None and "check" in each.extra:
                yield field.name, each.extra["check"]


def _deeper_of(type_: inspect.Type, leaves: set[str]) -> list[str]:
    """The fields of a struct with checked fields within."""
    if not isinstance(type_, inspect.StructType):
        return []
    return [each.name for each in type_.fields if each.name not in leaves and _check_of(each.type) is not None]


def _leaf(check: Callable[[Any], None]) -> _Check:
    def checked(value: Any, path: str) -> Faults:
        try:
            check(value)
        except ValueError as error:
            yield path, str(error)

    return checked


def _each(check: _Check | None) -> _Check | None:
    if check is None:
        return None

    def checked(value: Any, path: str) -> Faults:
        for i, each in enumerate(value):
            yield from check(each, f"{path}[{i}]")

    return checked


def _fields(checks: list[tuple[str, str, _Check]]) -> _Check | None:
    if not checks:
        return None

    def checked(value: Any, path: str) -> Faults:
        for name, written, check in checks:
            each = getattr(value, name)
            if each is not None and each is not msgspec.UNSET:
                yield from check(each, f"{path}.{written}" if path else written)

    return checked


class _Shown(NamedTuple):
    """The fields of an object that are shown and can't be set, and the objects within it that have such."""

    read_only: frozenset[str]
    within: Mapping[str, "_Shown"]


def read_only_fields(type_: type[Any]) -> frozenset[str]:
    """The fields that a request may have because an answer has them, by their JSON names."""
    shown = getattr(type_, "SHOWN_AS", None)
    return frozenset() if shown is None else _names(shown) - _names(type_)


def _names(type_: type[Any]) -> frozenset[str]:
    return frozenset(type_.__struct_encode_fields__)


def _shown_of(type_: inspect.Type) -> _Shown | None:
    match type_:
        case inspect.Metadata(type=within) | inspect.ListType(item_type=within):
            return _shown_of(within)
        case inspect.UnionType(types=types):
            return next((found for each in types if (found := _shown_of(each)) is not None), None)
        case inspect.StructType(cls=cls, fields=fields):
            inner = {field.encode_name: found for field in fields if (found := _shown_of(field.type)) is not None}
            names = read_only_fields(cls)
            return _Shown(names, inner) if names or inner else None
    return None


_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _without_read_only(body: bytes | msgspec.Raw, shown: _Shown) -> bytes | None:
    """The object, or the array of objects, without its read-only fields, the others as they were; None if it is none.

    Not for every request: most have none of them, and are decoded before this is asked.
    """
    try:
        fields = _decode_fields(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            items = _decode_items(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return msgspec.json.encode([_stripped(each, shown) for each in items])
    kept = {
        name: value if (within := shown.within.get(name)) is None else _stripped(value, within)
        for name, value in fields.items()
        if name not in shown.read_only
    }
    return msgspec.json.encode(kept)


def _stripped(value: msgspec.Raw, shown: _Shown) -> msgspec.Raw:
    found = _without_read_only(value, shown)
    return value if found is None else msgspec.Raw(found)


@lru_cache(maxsize=64)
def check_media_type(content_type: bytes | None) -> None:
    """Raises UnsupportedMediaType for what is clearly no JSON. Almost every request says the same."""
    said = "" if content_type is None else content_type.decode("latin-1")
    if _NOT_JSON.match(said.lower()):
        raise UnsupportedMediaType(said.partition(";")[0][:100])


def fault(error: msgspec.ValidationError, forms: Mapping[str, str] | None = None) -> tuple[str, str]:
    """The field, as the caller wrote it (`sections[0].price.amount`), and what is wrong with it, in JSON's words.

    `forms` says what patterns stand for.
    """
    match = _AT.match(str(error))
    what, path = (match["what"], match["path"] or "") if match else (str(error), "")
    path = path.removeprefix(".")
    for pattern, message in ((_MISSING, "is required"), (_UNKNOWN, UNKNOWN_FIELD)):
        if named := pattern.match(what):
            return f"{path}.{shown_name(named[1])}".removeprefix("."), message
    return path or "body", _in_words(what, forms or {})


def _in_words(what: str, forms: Mapping[str, str]) -> str:
    """msgspec speaks of Python's types and of patterns; a caller knows JSON's."""
    if match := _OTHER_TYPE.match(what):
        wanted = " or ".join(_NAMES.get(each, each) for each in match[1].split(" | "))
        return f"must be {wanted}, not {_SEEN.get(match[2], match[2])}"
    if match := _OTHER_FORM.match(what):
        return forms.get(match[1], "has another form than this field takes")
    if match := _OTHER_SIZE.match(what):
        unit = _UNITS[match[1]]
        return f"must have {_BOUNDS[match[2]]} {match[3]} {unit.removesuffix('s') if match[3] == '1' else unit}"
    if match := _OTHER_RANGE.match(what):
        return f"must be {_BOUNDS[match[1]]} {match[2].removesuffix('.0')}"
    if what in ("Number out of range", "Integer value out of range"):
        return "is a number out of range"
    return what[:1].lower() + what[1:]


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
