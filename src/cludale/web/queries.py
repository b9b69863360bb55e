"""Queries: what stands behind a path's `?` to typed values, strictly, and every fault named by its parameter."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Generic, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import inspect

from cludale.kernel.refusals import Invalid, shown_name
from cludale.web.bodies import fault

Item = TypeVar("Item")
Parameters = TypeVar("Parameters", bound=msgspec.Struct)

_MOST_FAULTS = 50
_LONGEST_NUMBER = 20
_WHOLE = re.compile(r"-?(?:0|[1-9]\d*)", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?", re.ASCII)

DEFAULT_LIMIT = 50
Limit = Annotated[int, msgspec.Meta(ge=1, le=200, description="how many items at most")]
After = Annotated[str, msgspec.Meta(max_length=4_096, description="the `next` of the page before this one")]


class Paged(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a collection, which is given page by page."""

    limit: Limit = DEFAULT_LIMIT
    after: After | None = None


class Page(msgspec.Struct, Generic[Item], frozen=True, gc=False):
    """A page of a collection. `next` is what to give as `after` for the page that follows."""

    items: list[Item]
    next: str | None


class _Parameter(NamedTuple):
    attribute: str
    annotation: Any
    number: Callable[[str], float] | None
    choices: str
    """The values of one that takes one of a few."""


class QueryReader(Generic[Parameters]):
    """Reads queries as `type_`."""

    def __init__(self, type_: type[Parameters]) -> None:
        self._type = type_
        fields = msgspec.structs.fields(type_)
        self._known = {each.encode_name: _parameter(each) for each in fields}
        self._required = [each.encode_name for each in fields if each.required]
        self._empty = None if self._required else type_()

    def read(self, query: str) -> Parameters:
        """What it says. A parameter that nobody reads, one that is given twice, or a number that others read otherwise
        would mislead whoever sent it. Raises Invalid.
        """
        if not query and self._empty is not None:
            return self._empty
        given: dict[str, str] = {}
        faults: dict[str, str] = {}
        for name, text in parse_qsl(query, keep_blank_values=True):
            if name not in self._known:
                known = ", ".join(sorted(self._known)) or "none"
                faults[shown_name(name)] = f"is not a parameter here (known: {known})"
            elif name in given:
                faults[name] = "is given more than once"
            else:
                given[name] = text
        values: dict[str, Any] = {}
        for name, text in given.items():
            if name not in faults:
                try:
                    values[self._known[name].attribute] = _value(self._known[name], text)
                except ValueError as error:
                    faults[name] = str(error)
        faults = faults or {name: "is required" for name in self._required if name not in given}
        if faults:
            raise Invalid(*list(faults.items())[:_MOST_FAULTS])
        return self._type(**values)


def _parameter(field: msgspec.structs.FieldInfo) -> _Parameter:
    types = _within(inspect.type_info(field.type))
    kinds = [type(each) for each in types]
    number = int if inspect.IntType in kinds else float if inspect.FloatType in kinds else None
    choices = [str(member.value) for each in types if isinstance(each, inspect.EnumType) for member in each.cls]
    return _Parameter(field.name, field.type, number, ", ".join(choices))


def _within(type_: inspect.Type) -> list[inspect.Type]:
    match type_:
        case inspect.Metadata(type=one):
            return _within(one)
        case inspect.UnionType(types=types):
            return [each for one in types for each in _within(one)]
    return [type_]


def _value(parameter: _Parameter, text: str) -> Any:
    """What it says. Raises ValueError."""
    value: Any = text
    if parameter.number is not None:  # one rule: digits as people write them, no sign but a minus, no exponent
        if parameter.number is int and not _WHOLE.fullmatch(text):
            raise ValueError("must be a whole number in digits: 50")
        if not _DECIMAL.fullmatch(text):
            raise ValueError("must be a number in digits: 2 or 1.5")
        if len(text) > _LONGEST_NUMBER:
            raise ValueError("is a number out of range")
        value = parameter.number(text)
    try:
        return msgspec.convert(value, parameter.annotation)
    except msgspec.ValidationError as error:
        raise ValueError(f"must be one of {parameter.choices}" if parameter.choices else fault(error)[1]) from None
