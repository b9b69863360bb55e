"""Bicep read into a tree: the part of the language that `infra/` is written in. Anything else is refused, loudly.

Nothing is computed here (`evaluate.py`), and no name looked up: that is the compiler's, in the pipeline. It is our own
because `pycep-parser` knows neither lines nor which operator binds first (ADR 31).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class NotBicep(Exception):
    """The text can't be read; the message has file and line."""


@dataclass(frozen=True)
class Node:
    """A part of an expression, and the line that it is on."""

    line: int


@dataclass(frozen=True)
class Literal(Node):
    """true, 12, null, or a text without parts to fill in."""

    value: Any


@dataclass(frozen=True)
class Text(Node):
    """'a${b}c': texts and expressions in turn."""

    parts: Sequence[str | Node]


@dataclass(frozen=True)
class Name(Node):
    """A symbol."""

    name: str


@dataclass(frozen=True)
class Access(Node):
    """`of.name`."""

    of: Node
    name: str


@dataclass(frozen=True)
class Index(Node):
    """`of[at]`."""

    of: Node
    at: Node


@dataclass(frozen=True)
class Call(Node):
    """`function(arguments)`; `of` is what a method is called on."""

    function: str
    arguments: Sequence[Node]
    of: Node | None = None


@dataclass(frozen=True)
class Unary(Node):
    """`!of`, `-of`."""

    operator: str
    of: Node


@dataclass(frozen=True)
class Binary(Node):
    """`left operator right`."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Choice(Node):
    """`condition ? yes : no`."""

    condition: Node
    yes: Node
    no: Node


@dataclass(frozen=True)
class Array(Node):
    """[…]."""

    items: Sequence[Node]


@dataclass(frozen=True)
class Object(Node):
    """{…}. A key is a text, possibly with parts to fill in."""

    entries: Sequence[tuple[Node, Node]]

    def get(self, key: str) -> Node | None:
        """The value of a plain key."""
        return next((value for name, value in self.entries if isinstance(name, Literal) and name.value == key), None)


@dataclass(frozen=True)
class Loop(Node):
    """`[for item in over: body]`, `[for (item, index) in over: if (condition) body]`."""

    item: str
    index: str | None
    over: Node
    body: Node
    condition: Node | None = None


@dataclass(frozen=True)
class Decorator(Node):
    """`@name(arguments)`."""

    name: str
    arguments: Sequence[Node]


@dataclass(frozen=True)
class Statement:
    """A declaration: `kind` is param, var, resource, module, output, using or targetScope."""

    kind: str
    name: str
    line: int
    decorators: Sequence[Decorator] = ()
    type: str | None = None
    """Of a param or output."""
    target: str | None = None
    """Type and API version of a resource, the path of a module or of what `using` names."""
    value: Node | None = None
    """A default, a value, a body."""
    is_existing: bool = False
    condition: Node | None = None
    loop: Loop | None = None
    """Around the body of a resource or module."""


@dataclass(frozen=True)
class Document:
    """A file's declarations, in their order."""

    path: Path
    statements: Sequence[Statement] = field(default_factory=list)

    def of(self, kind: str) -> dict[str, Statement]:
        """The declarations of a kind, by name."""
        return {each.name: each for each in self.statements if each.kind == kind}


_TOKENS = re.compile(
    r"""
    (?P<space>[ \t\r]+|//[^\n]*|/\*.*?\*/)
  | (?P<newline>\n)
  | (?P<number>\d+)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<operator>=>|==|!=|<=|>=|&&|\|\||\?\?|::|[-+*/%<>!?:.,=@(){}\[\]])
  | (?P<quote>')
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"\\": "\\", "'": "'", "n": "\n", "r": "\r", "t": "\t", "$": "$"}
_LEVELS: Sequence[Sequence[str]] = (
    ("??",), ("||",), ("&&",), ("==", "!="), ("<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"),
)  # fmt: skip
_TYPES = ("string", "int", "bool", "object", "array")


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    line: int
    value: Node | None = None


class _Reader:
    """Tokens, and texts with their parts, which are expressions themselves."""

    def __init__(self, text: str, path: Path, line: int = 1) -> None:
        self.text, self.path, self.line, self.at = text, path, line, 0

    def fail(self, what: str) -> NotBicep:
        return NotBicep(f"{self.path}:{self.line}: {what}")

    def tokens(self, *, until_brace: bool = False) -> list[_Token]:
        """All tokens; or those up to the brace that ends a part of a text."""
        found: list[_Token] = []
        depth = 0
        while self.at < len(self.text):
            match = _TOKENS.match(self.text, self.at)
            if match is None:
                raise self.fail(f"what is {self.text[self.at]!r}?")
            kind, token = str(match.lastgroup), match.group()
            if until_brace and token == "}" and depth == 0:
                return found
            depth += (token == "{") - (token == "}")
            self.at = match.end()
            if kind == "quote":
                found.append(_Token("text", "'", self.line, self._text()))
                continue
            if kind != "space":
                found.append(_Token(kind, token, self.line))
            self.line += token.count("\n")
        if until_brace:
            raise self.fail("${ without }")
        return found

    def _text(self) -> Node:
        line = self.line
        if self.text.startswith("''", self.at):
            end = self.text.find("'''", self.at + 2)
            if end < 0:
                raise self.fail("''' without its end")
            raw = self.text[self.at + 2 : end].removeprefix("\n")
            self.line += self.text.count("\n", self.at, end)
            self.at = end + 3
            return Literal(line, raw)
        parts: list[str | Node] = []
        plain = ""
        while True:
            if self.at >= len(self.text) or self.text[self.at] == "\n":
                raise self.fail("a text without its end")
            char = self.text[self.at]
            self.at += 1
            if char == "'":
                break
            if char == "\\":
                plain += self._escape()
            elif char == "$" and self.text.startswith("{", self.at):
                self.at += 1
                inner = self.tokens(until_brace=True)
                self.at += 1
                parts += [plain, Parser(inner, self.path).alone()]
                plain = ""
            else:
                plain += char
        return Text(line, [*parts, plain]) if parts else Literal(line, plain)

    def _escape(self) -> str:
        char = self.text[self.at]
        self.at += 1
        if char not in _ESCAPES:
            raise self.fail(f"no such escape: \\{char}")
        return _ESCAPES[char]


class Parser:
    """Declarations and expressions out of tokens."""

    def __init__(self, tokens: Sequence[_Token], path: Path) -> None:
        self._tokens, self._path, self._at = tokens, path, 0

    def document(self) -> Document:
        """All of a file."""
        statements = []
        while self._skip_newlines():
            statements.append(self._statement())
        return Document(self._path, statements)

    def alone(self) -> Node:
        """One expression and nothing behind it."""
        node = self._expression()
        if self._skip_newlines():
            raise self._fail("this is one thing too many")
        return node

    # Declarations

    def _statement(self) -> Statement:
        decorators = []
        while self._peek("@"):
            decorators.append(self._decorator())
            self._skip_newlines()
        line, kind = self._line(), self._identifier()
        readers: Mapping[str, Callable[[int, Sequence[Decorator]], Statement]] = {
            "targetScope": self._target_scope,
            "using": self._using,
            "param": self._param,
            "var": self._var,
            "output": self._output,
            "resource": self._resource,
            "module": self._module,
        }
        if kind not in readers:
            raise self._fail(f"no declaration begins with {kind!r}")
        statement = readers[kind](line, decorators)
        if self._at < len(self._tokens) and self._tokens[self._at].kind != "newline":
            raise self._fail("a new line is wanted here")
        return statement

    def _target_scope(self, line: int, decorators: Sequence[Decorator]) -> Statement:
        self._take("=")
        return Statement("targetScope", "targetScope", line, decorators, value=self._expression())

    def _using(self, line: int, decorators: Sequence[Decorator]) -> Statement:
        return Statement("using", "using", line, decorators, target=self._plain_text())

    def _param(self, line: int, decorators: Sequence[Decorator]) -> Statement:
        name = self._identifier()
        type_ = None if self._peek("=") else self._type()
        value = self._expression() if self._took("=") else None
        return Statement("param", name, line, decorators, type=type_, value=value)

    def _var(self, line: int, decorators: Sequence[Decorator]) -> Statement:
        name = self._identifier()
        self._take("=")
        return Statement("var", name, line, decorators, value=self._expression())

    def _output(self, line: int, decorators: Sequence[Decorator]) -> Statement:
        name, type_ = self._identifier(), self._type()
        self._take("=")
        return Statement("output", name, line, decorators, type=type_, value=self._expression())

    def _resource(self, line: int, decorators: Sequence[Decorator]) -> Statement:
        name, target = self._identifier(), self._plain_text()
        is_existing = self._peek("existing") and self._took("existing")
        self._take("=")
        return self._body(Statement("resource", name, line, decorators, target=target, is_existing=is_existing))

    def _module(self, line: int, decorators: Sequence[Decorator]) -> Statement:
        name, target = self._identifier(), self._plain_text()
        self._take("=")
        return self._body(Statement("module", name, line, decorators, target=target))

    def _body(self, head: Statement) -> Statement:
        loop: Loop | None = None
        condition: Node | None = None
        if self._peek("["):
            node = self._primary()
            if not isinstance(node, Loop):
                raise self._fail("a loop is wanted here")
            loop, value, condition = node, node.body, node.condition
        else:
            condition = self._condition()
            value = self._expression()
        if not isinstance(value, Object):
            raise self._fail("the body of a declaration is an object")
        return Statement(
            head.kind, head.name, head.line, head.decorators, target=head.target, value=value,
            is_existing=head.is_existing, condition=condition, loop=loop,
        )  # fmt: skip

    def _condition(self) -> Node | None:
        if not self._took("if"):
            return None
        self._take("(")
        condition = self._expression()
        self._take(")")
        return condition

    def _decorator(self) -> Decorator:
        line = self._line()
        self._take("@")
        name = self._identifier()
        self._take("(")
        return Decorator(line, name, self._arguments())

    def _type(self) -> str:
        name = self._identifier()
        if name not in _TYPES:
            raise self._fail(f"no such type: {name}")
        return name

    # Expressions

    def _expression(self) -> Node:
        condition = self._level(0)
        if not self._took("?"):
            return condition
        yes = self._expression()
        self._skip_newlines()
        self._take(":")
        return Choice(condition.line, condition, yes, self._expression())

    def _level(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        left = self._level(level + 1)
        while any(self._peek(operator) for operator in _LEVELS[level]):
            operator = self._next().text
            left = Binary(left.line, operator, left, self._level(level + 1))
        return left

    def _unary(self) -> Node:
        for operator in ("!", "-"):
            if self._peek(operator):
                line = self._line()
                self._next()
                return Unary(line, operator, self._unary())
        return self._postfix(self._primary())

    def _postfix(self, node: Node) -> Node:
        while True:
            if self._took("."):
                name = self._identifier()
                if self._took("("):
                    node = Call(node.line, name, self._arguments(), node)
                else:
                    node = Access(node.line, node, name)
            elif self._took("["):
                at = self._expression()
                self._take("]")
                node = Index(node.line, node, at)
            else:
                return node

    def _primary(self) -> Node:  # noqa: PLR0911 - a case a token
        token = self._next()
        if token.kind == "text" and token.value is not None:
            return token.value
        if token.kind == "number":
            return Literal(token.line, int(token.text))
        if token.text in ("true", "false", "null"):
            return Literal(token.line, {"true": True, "false": False, "null": None}[token.text])
        if token.kind == "name":
            if self._took("("):
                return Call(token.line, token.text, self._arguments())
            return Name(token.line, token.text)
        if token.text == "(":
            node = self._expression()
            self._take(")")
            return node
        if token.text == "{":
            return self._object(token.line)
        if token.text == "[":
            return self._loop(token.line) if self._peek("for") else self._array(token.line)
        raise self._fail(f"{token.text!r} begins no expression")

    def _arguments(self) -> list[Node]:
        found: list[Node] = []
        self._skip_newlines()
        while not self._took(")"):
            found.append(self._expression())
            self._skip_newlines()
            if not self._peek(")"):
                self._take(",")
                self._skip_newlines()
        return found

    def _array(self, line: int) -> Array:
        items: list[Node] = []
        self._skip_newlines()
        while not self._took("]"):
            items.append(self._expression())
            self._separated("]")
        return Array(line, items)

    def _object(self, line: int) -> Object:
        entries: list[tuple[Node, Node]] = []
        self._skip_newlines()
        while not self._took("}"):
            token = self._next()
            if token.kind == "name":
                key: Node = Literal(token.line, token.text)
            elif token.kind == "text" and token.value is not None:
                key = token.value
            else:
                raise self._fail(f"{token.text!r} is no key")
            self._take(":")
            entries.append((key, self._expression()))
            self._separated("}")
        return Object(line, entries)

    def _separated(self, end: str) -> None:
        if not (self._peek(end) or self._took(",") or self._at_newline()):
            raise self._fail("a new line or a comma is wanted here")
        self._skip_newlines()

    def _loop(self, line: int) -> Loop:
        self._take("for")
        index = None
        if self._took("("):
            item = self._identifier()
            self._take(",")
            index = self._identifier()
            self._take(")")
        else:
            item = self._identifier()
        self._take("in")
        over = self._expression()
        self._take(":")
        condition = self._condition()
        body = self._expression()
        self._skip_newlines()
        self._take("]")
        return Loop(line, item, index, over, body, condition)

    # Tokens

    def _fail(self, what: str) -> NotBicep:
        return NotBicep(f"{self._path}:{self._line()}: {what}")

    def _line(self) -> int:
        if not self._tokens:
            return 1
        return self._tokens[min(self._at, len(self._tokens) - 1)].line

    def _at_newline(self) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at].kind == "newline"

    def _skip_newlines(self) -> bool:
        """Is anything left?"""
        while self._at_newline():
            self._at += 1
        return self._at < len(self._tokens)

    def _peek(self, text: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at].text == text

    def _took(self, text: str) -> bool:
        found = self._peek(text)
        self._at += found
        return found

    def _take(self, text: str) -> None:
        if not self._took(text):
            found = self._tokens[self._at].text if self._at < len(self._tokens) else "the end"
            raise self._fail(f"{text!r} is wanted, not {found!r}")

    def _next(self) -> _Token:
        if self._at >= len(self._tokens):
            raise self._fail("the end comes too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _identifier(self) -> str:
        token = self._next()
        if token.kind != "name":
            raise self._fail(f"a name is wanted, not {token.text!r}")
        return token.text

    def _plain_text(self) -> str:
        token = self._next()
        if not isinstance(token.value, Literal) or not isinstance(token.value.value, str):
            raise self._fail("a plain text is wanted")
        return token.value.value


def read(path: Path) -> Document:
    """The file's declarations. Raises NotBicep, OSError."""
    return parse(path.read_text(encoding="utf-8"), path)


def parse(text: str, path: Path) -> Document:
    """The declarations in a text; `path` is for messages and for what it names. Raises NotBicep."""
    return Parser(_Reader(text, path).tokens(), path).document()
