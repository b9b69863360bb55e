"""What the Bicep compiler would say of names: every symbol, module, parameter and output, without computing anything.

Property names and API versions are looked up by `tools.arm_types`, values computed in
`evaluate.py`. The compiler itself says more.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tools.infra.bicep.evaluate import FUNCTIONS
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
    NotBicep,
    Object,
    Statement,
    Text,
    Unary,
    read,
)  # fmt: skip

RESOURCE_TYPE = re.compile(r"^[A-Z]\w*(\.[A-Z]\w*)+(/\w+)+@\d{4}-\d{2}-\d{2}(-preview)?$")
DECORATORS = {
    "batchSize",
    "description",
    "secure",
    "allowed",
    "minLength",
    "maxLength",
    "minValue",
    "maxValue",
    "metadata",
}
RESOURCE_KEYS = {
    "name", "location", "tags", "kind", "sku", "identity", "properties", "parent", "scope", "dependsOn", "zones",
}  # fmt: skip
OF_A_RESOURCE = {"id", "name", "type", "apiVersion", "properties", "identity", "location", "tags", "sku", "kind"}
MODULE_KEYS = {"name", "params", "scope", "dependsOn"}
DECLARES = ("param", "var", "resource", "module")


class Fault(NamedTuple):
    """Something that the compiler would not take."""

    path: Path
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


def faults_of(path: Path) -> list[Fault]:
    """All faults of a .bicep file and the modules that it uses, or of a .bicepparam file."""
    return [*_Resolver().of(path)]


class _Resolver:
    """Reads each file once."""

    def __init__(self) -> None:
        self._documents: dict[Path, Document] = {}
        self._done: set[Path] = set()

    def of(self, path: Path) -> Iterator[Fault]:
        """The faults of a file and of what it uses."""
        path = path.resolve()
        if path in self._done:
            return
        self._done.add(path)
        try:
            document = self._read(path)
        except NotBicep as error:
            yield Fault(path, 0, str(error))
            return
        except OSError as error:
            yield Fault(path, 0, str(error))
            return
        if path.suffix == ".bicepparam":
            yield from self._parameters(document)
            return
        yield from _File(document, self._read).faults()
        for module in document.of("module").values():
            target = (path.parent / str(module.target)).resolve()
            if target.exists():
                yield from self.of(target)

    def _read(self, path: Path) -> Document:
        if path not in self._documents:
            self._documents[path] = read(path)
        return self._documents[path]

    def _parameters(self, document: Document) -> Iterator[Fault]:
        using = document.of("using").get("using")
        if using is None:
            yield Fault(document.path, 1, "it does not say what it is for: `using`")
            return
        target = (document.path.parent / str(using.target)).resolve()
        if not target.exists():
            yield Fault(document.path, using.line, f"there is no {using.target}")
            return
        given = {name: (each.line, each.value) for name, each in document.of("param").items() if each.value is not None}
        yield from _arguments(document.path, using.line, given, self._read(target))


class _File:
    """One file's names."""

    def __init__(self, document: Document, reader: Callable[[Path], Document]) -> None:
        self._document, self._read = document, reader
        self._declared = {each.name: each for each in document.statements if each.kind in DECLARES}
        self._used: set[str] = set()

    def faults(self) -> Iterator[Fault]:
        """Everything that is wrong here."""
        yield from self._doubles()
        for statement in self._document.statements:
            yield from self._decorators(statement)
            yield from self._statement(statement)
        for statement in self._document.statements:
            is_idle = statement.kind in ("param", "var") or (statement.kind == "resource" and statement.is_existing)
            if is_idle and statement.name not in self._used:
                yield self._fault(statement.line, f"{statement.kind} {statement.name} is not used")

    def _fault(self, line: int, what: str) -> Fault:
        return Fault(self._document.path, line, what)

    def _doubles(self) -> Iterator[Fault]:
        seen: dict[tuple[bool, str], int] = {}
        for each in self._document.statements:
            key = (each.kind == "output", each.name)
            if each.kind in (*DECLARES, "output") and key in seen:
                yield self._fault(each.line, f"{each.name} is declared twice")
            seen[key] = each.line

    def _decorators(self, statement: Statement) -> Iterator[Fault]:
        for each in statement.decorators:
            if each.name not in DECORATORS:
                yield self._fault(each.line, f"there is no @{each.name}")
        if statement.kind in ("param", "output") and statement.decorator("description") is None:
            yield self._fault(statement.line, f"{statement.kind} {statement.name} has no description")

    def _statement(self, statement: Statement) -> Iterator[Fault]:
        scope: Mapping[str, str] = {}
        if statement.loop is not None:
            yield from self._nodes(statement.loop.over, scope)
            scope = {statement.loop.item: "item", **({statement.loop.index: "index"} if statement.loop.index else {})}
        if statement.condition is not None:
            yield from self._nodes(statement.condition, scope)
        if statement.kind == "param":
            yield from self._typed(statement)
        if statement.value is not None:
            yield from self._nodes(statement.value, scope)
        if statement.kind == "resource":
            yield from self._resource(statement)
        if statement.kind == "module":
            yield from self._module(statement)
        if statement.kind == "output":
            yield from self._typed(statement)

    def _typed(self, statement: Statement) -> Iterator[Fault]:
        if statement.type is None:
            yield self._fault(statement.line, f"{statement.name} has no type")
        elif (wrong := _wrong_type(statement.value, statement.type)) is not None:
            yield self._fault(statement.line, f"{statement.name} is {statement.type}, not {wrong}")

    def _resource(self, statement: Statement) -> Iterator[Fault]:
        if RESOURCE_TYPE.match(str(statement.target)) is None:
            yield self._fault(statement.line, f"{statement.target} is no resource type with an API version")
        body = statement.value
        assert isinstance(body, Object)
        for key, _ in body.entries:
            if isinstance(key, Literal) and key.value not in RESOURCE_KEYS:
                yield self._fault(key.line, f"a resource has no {key.value}")
        if body.get("name") is None:
            yield self._fault(statement.line, f"resource {statement.name} has no name")
        yield from self._parent(statement, body)

    def _parent(self, statement: Statement, body: Object) -> Iterator[Fault]:
        depth = str(statement.target).split("@")[0].count("/")
        parent = body.get("parent")
        if parent is None:
            if depth > 1:
                yield self._fault(statement.line, f"{statement.name} is a part of something: it needs a parent")
            return
        named = parent.of if isinstance(parent, Index) else parent
        holder = self._declared.get(named.name) if isinstance(named, Name) else None
        if holder is None or holder.kind != "resource":
            yield self._fault(parent.line, "a parent is a resource of this file")
        elif str(holder.target).split("@")[0] != str(statement.target).split("@")[0].rpartition("/")[0]:
            yield self._fault(parent.line, f"{statement.target} is no part of {holder.target}")

    def _module(self, statement: Statement) -> Iterator[Fault]:
        body = statement.value
        assert isinstance(body, Object)
        target = (self._document.path.parent / str(statement.target)).resolve()
        if not target.exists():
            yield self._fault(statement.line, f"there is no {statement.target}")
            return
        for key, _ in body.entries:
            if isinstance(key, Literal) and key.value not in MODULE_KEYS:
                yield self._fault(key.line, f"a module has no {key.value}")
        params = body.get("params")
        given = {}
        if isinstance(params, Object):
            given = {str(key.value): (key.line, value) for key, value in params.entries if isinstance(key, Literal)}
        wanted = self._target(target)
        if wanted is not None:
            yield from _arguments(self._document.path, statement.line, given, wanted)

    def _target(self, path: Path) -> Document | None:
        """A module's file; None if it can't be read, which is said where it is resolved itself."""
        try:
            return self._read(path)
        except (NotBicep, OSError):
            return None

    def _nodes(self, node: Node, scope: Mapping[str, str]) -> Iterator[Fault]:
        """The faults of an expression; `scope` has the variables of the loops around it."""
        if isinstance(node, Name):
            yield from self._name(node, scope)
        elif isinstance(node, Access):
            yield from self._access(node, scope)
        elif isinstance(node, Call):
            yield from self._call(node, scope)
        elif isinstance(node, Loop):
            yield from self._nodes(node.over, scope)
            inner = {**scope, node.item: "item", **({node.index: "index"} if node.index else {})}
            for each in (node.condition, node.body):
                if each is not None:
                    yield from self._nodes(each, inner)
        elif isinstance(node, Object):
            yield from self._object(node, scope)
        else:
            for each in _parts(node):
                yield from self._nodes(each, scope)

    def _name(self, node: Name, scope: Mapping[str, str]) -> Iterator[Fault]:
        if node.name in scope:
            return
        self._used.add(node.name)
        if node.name not in self._declared:
            yield self._fault(node.line, f"there is no {node.name} here")

    def _access(self, node: Access, scope: Mapping[str, str]) -> Iterator[Fault]:
        yield from self._nodes(node.of, scope)
        of, owner = node.of, None
        if isinstance(of, Name):
            owner = self._declared.get(of.name)
        elif isinstance(of, Index) and isinstance(of.of, Name):
            owner = self._declared.get(of.of.name)
        if owner is not None and owner.kind == "resource" and node.name not in OF_A_RESOURCE:
            yield self._fault(node.line, f"resource {owner.name} has no {node.name}")
        if owner is not None and owner.loop is not None and isinstance(of, Name):
            yield self._fault(node.line, f"{owner.name} is many: say which")
        if isinstance(of, Access) and of.name == "outputs":
            yield from self._output(node, of)

    def _output(self, node: Access, outputs: Access) -> Iterator[Fault]:
        named = outputs.of.of if isinstance(outputs.of, Index) else outputs.of
        module = self._declared.get(named.name) if isinstance(named, Name) else None
        if module is None or module.kind != "module":
            yield self._fault(node.line, "only modules have outputs")
            return
        target = (self._document.path.parent / str(module.target)).resolve()
        wanted = self._target(target)
        if wanted is not None and node.name not in wanted.of("output"):
            yield self._fault(node.line, f"module {module.name} has no output {node.name}")

    def _call(self, node: Call, scope: Mapping[str, str]) -> Iterator[Fault]:
        if node.of is not None:
            yield from self._nodes(node.of, scope)
            yield self._fault(node.line, f"{node.function} is no method that is used here")
        elif node.function not in FUNCTIONS:
            yield self._fault(node.line, f"there is no function {node.function}")
        elif node.function == "loadJsonContent":
            file = node.arguments[0]
            if not isinstance(file, Literal) or not (self._document.path.parent / str(file.value)).exists():
                yield self._fault(node.line, "loadJsonContent needs the path of a file that is there")
        for each in node.arguments:
            yield from self._nodes(each, scope)

    def _object(self, node: Object, scope: Mapping[str, str]) -> Iterator[Fault]:
        seen: set[str] = set()
        for key, value in node.entries:
            if isinstance(key, Literal):
                if str(key.value) in seen:
                    yield self._fault(key.line, f"{key.value} is there twice")
                seen.add(str(key.value))
            else:
                yield from self._nodes(key, scope)
            yield from self._nodes(value, scope)


def _arguments(path: Path, line: int, given: Mapping[str, tuple[int, Node]], target: Document) -> Iterator[Fault]:
    """Are these the parameters that the target wants?"""
    wanted = target.of("param")
    for name, each in wanted.items():
        if each.value is None and name not in given:
            yield Fault(path, line, f"{target.path.name} needs the parameter {name}")
    for name, (at, value) in given.items():
        if name not in wanted:
            yield Fault(path, at, f"{target.path.name} has no parameter {name}")
        else:
            yield from _fits(path, at, wanted[name], value)


def _fits(path: Path, line: int, wanted: Statement, value: Node) -> Iterator[Fault]:
    wrong = _wrong_type(value, str(wanted.type))
    if wrong is not None:
        yield Fault(path, line, f"{wanted.name} is {wanted.type}, not {wrong}")
    allowed = wanted.decorator("allowed")
    if allowed is not None and isinstance(value, Literal) and isinstance(allowed.arguments[0], Array):
        values = [item.value for item in allowed.arguments[0].items if isinstance(item, Literal)]
        if value.value not in values:
            yield Fault(path, line, f"{wanted.name} is one of {', '.join(map(str, values))}, not {value.value}")


def _wrong_type(value: Node | None, wanted: str) -> str | None:
    """What `value` is, if that can be seen and is not what is wanted."""
    found = None
    match value:
        case Literal(value=bool()):
            found = "bool"
        case Literal(value=int()):
            found = "int"
        case Literal(value=str()) | Text():
            found = "string"
        case Array() | Loop():
            found = "array"
        case Object():
            found = "object"
    return None if found in (None, wanted) else found


def _parts(node: Node) -> Sequence[Node]:  # noqa: PLR0911 - a case a node
    match node:
        case Text(parts=parts):
            return [part for part in parts if isinstance(part, Node)]
        case Index(of=of, at=at):
            return [of, at]
        case Unary(of=of):
            return [of]
        case Binary(left=left, right=right):
            return [left, right]
        case Choice(condition=condition, yes=yes, no=no):
            return [condition, yes, no]
        case Array(items=items):
            return items
        case _:
            return []
