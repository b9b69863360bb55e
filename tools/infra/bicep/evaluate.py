"""Bicep computed as Azure would, as far as that goes without Azure: every resource that a deployment makes.

What only Azure knows (an address, a principal) stands as a text that says where it comes from.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tools.infra.bicep.syntax import (
    Access,
    Array,
    Binary,
    Call,
    Choice,
    Document,
    Index,
    Literal,
    Loop,
    Name,
    Node,
    Object,
    Statement,
    Text,
    Unary,
    read,
)  # fmt: skip

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/cludale"


class NotComputable(Exception):
    """The deployment would fail; the message has file and line."""


class Known(str):
    """Something that only Azure knows: where it comes from, in «»."""

    __slots__ = ()

    @classmethod
    def at(cls, where: str) -> "Known":
        """A value that comes from there."""
        return cls(f"«{where.strip('«»')}»")

    def part(self, name: str) -> "Known":
        """Something within it."""
        return Known.at(f"{self.strip('«»')}.{name}")


class Resource(NamedTuple):
    """One resource of a deployment."""

    module: str
    """The module's file, without its ending."""
    symbol: str
    type: str
    version: str
    id: str
    name: str
    body: Mapping[str, Any]
    scope: str | None
    """The id of what it extends; None for the resource group."""


@dataclass
class Deployment:
    """What a template makes with given parameters."""

    resources: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, type_: str) -> list[Resource]:
        """The resources of a type."""
        return [each for each in self.resources if each.type == type_]


class _Instance(NamedTuple):
    """A resource that a symbol stands for."""

    resource: Resource


class _Made(NamedTuple):
    """A module that a symbol stands for."""

    outputs: Mapping[str, Any]


_SKIPPED = object()


def deployment(template: Path, parameters: Mapping[str, Any]) -> Deployment:
    """What `template` makes. Raises NotComputable, NotBicep, OSError."""
    made = Deployment()
    made.outputs.update(_File(read(template), parameters, made, GROUP).run())
    return made


def with_parameters(file: Path, overrides: Mapping[str, Any]) -> Deployment:
    """What a .bicepparam file makes, some of its parameters replaced. Raises NotComputable, NotBicep, OSError."""
    document = read(file)
    empty = _File(Document(file), {}, Deployment(), GROUP)
    given = {name: empty.value(each.value, {}) for name, each in document.of("param").items() if each.value is not None}
    template = (file.parent / str(document.of("using")["using"].target)).resolve()
    return deployment(template, {**given, **overrides})


class _File:
    """One template with its parameters. Everything is computed when it is asked for, so the order does not matter."""

    def __init__(self, document: Document, parameters: Mapping[str, Any], into: Deployment, group: str) -> None:
        """`group`: the id of the resource group that it is deployed to."""
        self._document, self._into, self._group = document, into, group
        self._declared = {s.name: s for s in document.statements if s.kind in ("param", "var", "resource", "module")}
        self._values: dict[str, Any] = {}
        self._under_way: list[str] = []
        unknown = set(parameters) - set(document.of("param"))
        if unknown:
            raise NotComputable(f"{document.path}: no such parameters: {', '.join(sorted(unknown))}")
        for name, statement in document.of("param").items():
            self._values[name] = self._parameter(statement, parameters)

    def run(self) -> Mapping[str, Any]:
        """Make everything; the outputs."""
        for name in self._declared:
            self._symbol(name, 0)
        return {name: self.value(each.value, {}) for name, each in self._document.of("output").items() if each.value}

    def _fail(self, line: int, what: str) -> NotComputable:
        return NotComputable(f"{self._document.path}:{line}: {what}")

    def _parameter(self, statement: Statement, given: Mapping[str, Any]) -> Any:
        if statement.name in given:
            value = given[statement.name]
        elif statement.value is not None:
            value = self.value(statement.value, {})
        else:
            raise self._fail(statement.line, f"the parameter {statement.name} is needed")
        self._check(statement, value)
        return value

    def _check(self, statement: Statement, value: Any) -> None:
        kinds: Mapping[str, type] = {"string": str, "int": int, "bool": bool, "object": Mapping, "array": list}
        if not isinstance(value, kinds[str(statement.type)]) or (statement.type == "int" and isinstance(value, bool)):
            raise self._fail(statement.line, f"{statement.name} is {statement.type}, not {value!r}")
        for decorator in statement.decorators:
            limit = self.value(decorator.arguments[0], {}) if decorator.arguments else None
            is_kept: Callable[[], bool] = {
                "allowed": lambda limit=limit: value in limit,
                "minLength": lambda limit=limit: len(str(value)) >= limit,
                "maxLength": lambda limit=limit: len(str(value)) <= limit,
                "minValue": lambda limit=limit: value >= limit,
                "maxValue": lambda limit=limit: value <= limit,
            }.get(decorator.name, lambda: True)
            if not isinstance(value, Known) and not is_kept():
                raise self._fail(statement.line, f"{statement.name}={value!r} breaks @{decorator.name}({limit})")

    # Symbols

    def _symbol(self, name: str, line: int) -> Any:
        if name not in self._values:
            if name in self._under_way:
                raise self._fail(line, f"{' → '.join([*self._under_way, name])}: a circle")
            statement = self._declared.get(name)
            if statement is None:
                raise self._fail(line, f"there is no {name}")
            self._under_way.append(name)
            self._values[name] = self._made(statement)
            self._under_way.pop()
        return self._values[name]

    def _made(self, statement: Statement) -> Any:
        if statement.kind == "var":
            return self.value(statement.value, {})
        make = self._resource if statement.kind == "resource" else self._module
        if statement.loop is None:
            return make(statement, {})
        over = self.value(statement.loop.over, {})
        return [make(statement, _scope(statement.loop, item, at)) for at, item in enumerate(over)]

    def _resource(self, statement: Statement, scope: Mapping[str, Any]) -> Any:
        if statement.condition is not None and not self.value(statement.condition, scope):
            return _SKIPPED
        type_, _, version = str(statement.target).partition("@")
        assert isinstance(statement.value, Object)
        body = {
            str(self.value(key, scope)): self.value(value, scope)
            for key, value in statement.value.entries
            if not (isinstance(key, Literal) and key.value == "dependsOn")
        }
        holder = body.pop("parent", None)
        target = body.pop("scope", None)
        name = str(body.get("name"))
        if isinstance(holder, _Instance):
            id_ = f"{holder.resource.id}/{type_.rpartition('/')[2]}/{name}"
        else:
            over = target.resource.id if isinstance(target, _Instance) else self._group
            id_ = f"{over}/providers/{type_}/{name}"
        made = Resource(
            self._document.path.stem, statement.name, type_, version, id_, name, body,
            target.resource.id if isinstance(target, _Instance) else None,
        )  # fmt: skip
        if not statement.is_existing:
            if any(each.id == id_ for each in self._into.resources):
                raise self._fail(statement.line, f"{id_} is made twice")
            self._into.resources.append(made)
        return _Instance(made)

    def _module(self, statement: Statement, scope: Mapping[str, Any]) -> Any:
        if statement.condition is not None and not self.value(statement.condition, scope):
            return _SKIPPED
        assert isinstance(statement.value, Object)
        name = statement.value.get("name")
        deployed = str(self.value(name, scope)) if name is not None else statement.name
        if len(deployed) > 64:
            raise self._fail(statement.line, f"a deployment's name has at most 64 characters: {deployed}")
        params = statement.value.get("params")
        given = self.value(params, scope) if params is not None else {}
        target = (self._document.path.parent / str(statement.target)).resolve()
        where = statement.value.get("scope")
        group = self._group if where is None else self.value(where, scope)["id"]
        return _Made(_File(read(target), given, self._into, group).run())

    # Expressions

    def value(self, node: Node | None, scope: Mapping[str, Any]) -> Any:  # noqa: PLR0911, PLR0912 - a case a node
        """What an expression is. Raises NotComputable."""
        match node:
            case Literal():
                return node.value
            case Text(parts=parts):
                return self._text(node, parts, scope)
            case Name(name=name):
                return scope[name] if name in scope else self._symbol(name, node.line)
            case Array(items=items):
                return [self.value(item, scope) for item in items]
            case Object(entries=entries):
                return {str(self.value(key, scope)): self.value(value, scope) for key, value in entries}
            case Choice():
                return self.value(node.yes if self.value(node.condition, scope) else node.no, scope)
            case Unary(operator=operator):
                of = self.value(node.of, scope)
                return (not of) if operator == "!" else -of
            case Binary():
                return self._binary(node, scope)
            case Loop():
                return list(self._loop(node, scope))
            case Access():
                return self._access(node, self.value(node.of, scope))
            case Index():
                return self._index(node, self.value(node.of, scope), self.value(node.at, scope))
            case Call():
                return self._call(node, scope)
            case _:
                raise TypeError(f"no such node: {node}")

    def _text(self, node: Text, parts: Sequence[str | Node], scope: Mapping[str, Any]) -> str:
        values = [self.value(part, scope) if isinstance(part, Node) else part for part in parts]
        for value in values:
            if not isinstance(value, str | int):
                raise self._fail(node.line, f"{value!r} is no part of a text")
        return "".join(_shown(value) for value in values)

    def _loop(self, node: Loop, scope: Mapping[str, Any]) -> Iterator[Any]:
        for at, item in enumerate(self.value(node.over, scope)):
            inner = {**scope, **_scope(node, item, at)}
            if node.condition is None or self.value(node.condition, inner):
                yield self.value(node.body, inner)

    def _binary(self, node: Binary, scope: Mapping[str, Any]) -> Any:
        left = self.value(node.left, scope)
        if node.operator == "&&":
            return bool(left) and bool(self.value(node.right, scope))
        if node.operator == "||":
            return bool(left) or bool(self.value(node.right, scope))
        right = self.value(node.right, scope)
        operators: Mapping[str, Callable[[Any, Any], Any]] = {
            "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "+": lambda a, b: a + b, "-": lambda a, b: a - b,
            "*": lambda a, b: a * b, "<": lambda a, b: a < b, ">": lambda a, b: a > b, "<=": lambda a, b: a <= b,
            ">=": lambda a, b: a >= b,
        }  # fmt: skip
        if node.operator not in operators:
            raise self._fail(node.line, f"{node.operator} is not computed here")
        return operators[node.operator](left, right)

    def _access(self, node: Access, of: Any) -> Any:
        found: Any = None
        match of:
            case _Instance(resource=resource):
                found = _of_resource(resource, node.name)
            case _Made(outputs=outputs):
                found = {"outputs": outputs, "name": "module"}.get(node.name)
            case Known():
                found = of.part(node.name)
            case Mapping():
                if node.name not in of:
                    raise self._fail(node.line, f"there is no {node.name} in {sorted(of)}")
                return of[node.name]
        if of is _SKIPPED:
            raise self._fail(node.line, f".{node.name} of something that is not made")
        if found is None:
            raise self._fail(node.line, f"{of!r} has no {node.name}")
        return found

    def _index(self, node: Index, of: Any, at: Any) -> Any:
        if isinstance(of, Known):
            return of.part(str(at))
        try:
            return of[at]
        except (KeyError, IndexError, TypeError) as error:
            raise self._fail(node.line, f"there is no [{at!r}] in {of!r}") from error

    def _call(self, node: Call, scope: Mapping[str, Any]) -> Any:
        arguments = [self.value(each, scope) for each in node.arguments]
        if node.function == "loadJsonContent":
            return json.loads((self._document.path.parent / arguments[0]).read_text(encoding="utf-8"))
        if node.function == "resourceGroup":
            return _resource_group(self._group, *arguments)
        try:
            return FUNCTIONS[node.function](*arguments)
        except (KeyError, TypeError, ValueError) as error:
            raise self._fail(node.line, f"{node.function}: {error}") from error


def _scope(loop: Loop, item: Any, at: int) -> Mapping[str, Any]:
    return {loop.item: item, **({loop.index: at} if loop.index is not None else {})}


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _resource_group(of: str, name: str | None = None) -> Mapping[str, str]:
    """The group with this id; with a name, another of the same subscription."""
    subscription, _, own = of.rpartition("/")
    return {"id": f"{subscription}/{name or own}", "location": "westeurope", "name": name or own}


def _of_resource(resource: Resource, name: str) -> Any:
    if name == "id":
        return resource.id
    if name in ("name", "location", "tags") and name in resource.body:
        return resource.body[name]
    return Known.at(f"{resource.symbol} {resource.name}").part(name)


def _guid(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


def _unique_string(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:13]


def _concat(*parts: Any) -> Any:
    if all(isinstance(part, str) for part in parts):
        return "".join(parts)
    return [item for part in parts for item in part]


def _union(*parts: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for part in parts for key, value in part.items()}


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "concat": _concat,
    "contains": lambda value, part: part in value,
    "empty": lambda value: len(value) == 0,
    "environment": lambda: {"suffixes": {"storage": "core.windows.net"}},
    "guid": _guid,
    "json": json.loads,
    "length": len,
    "loadJsonContent": lambda path: path,  # computed where the file is known
    "replace": str.replace,
    "resourceGroup": _resource_group,  # as above
    "string": _shown,
    "subscription": lambda: {"id": GROUP.rpartition("/resourceGroups")[0]},
    "subscriptionResourceId": lambda type_, name: f"{GROUP.rpartition('/resourceGroups')[0]}/providers/{type_}/{name}",
    "take": lambda value, count: value[:count],
    "tenant": lambda: {"tenantId": Known.at("tenant")},
    "toLower": str.lower,
    "union": _union,
    "uniqueString": _unique_string,
}
"""The functions that are used, as Azure computes them; hashes come out differently, of the same length and letters."""
