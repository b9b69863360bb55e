"""The last touches on the OpenAPI document that the framework makes of the routes: what it can't know of our errors
and bodies, and names that people can read.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_REF = "#/components/schemas/"
_PROBLEM = {"application/problem+json": {"schema": {"$ref": _REF + "Problem"}}}
_PAGE = re.compile(r"^Page_(?:.*\.)?(\w+?)_$")
_DOMAIN = re.compile(r"^(\w+)_domain_(\w+)$")


def finished(document: dict[str, Any], shown: Mapping[str, tuple[str, frozenset[str]]]) -> dict[str, Any]:
    """The document as it is served. The argument is not used any more.

    `shown`: of a request's schema, the schema by which it is shown, and which of that one's fields are read-only.
    """
    schemas: dict[str, Any] = document["components"]["schemas"]
    for operation in _operations(document):
        _say_errors(operation)
    for name in _reachable(schemas, _body_schemas(document)):
        # bodies are strict: a field that nobody reads would mislead whoever sent it
        schemas[name]["additionalProperties"] = False
    for name, (view, read_only) in shown.items():
        fields = schemas[view]["properties"]
        schemas[name]["properties"] |= {field: {**fields[field], "readOnly": True} for field in sorted(read_only)}
    names = {name: _readable(name) for name in schemas}
    document["components"]["schemas"] = {names[name]: schema for name, schema in sorted(schemas.items())}
    renamed: dict[str, Any] = _tidy(document, names)
    return renamed


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        for method in ("get", "post", "put", "patch", "delete"):
            if method in path:
                yield path[method]


def _say_errors(operation: dict[str, Any]) -> None:
    """The framework's own form of a validation error is never answered; ours may come with any status."""
    responses = operation["responses"]
    responses.pop("400", None)
    responses["default"] = {"description": "Any other error, as a problem.", "content": _PROBLEM}


def _body_schemas(document: dict[str, Any]) -> list[str]:
    bodies = (operation["requestBody"] for operation in _operations(document) if "requestBody" in operation)
    return [name for body in bodies for name in _refs(body)]


def _reachable(schemas: dict[str, Any], names: list[str]) -> set[str]:
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in seen and schemas[name].get("type") == "object":
            seen.add(name)
            waiting += _refs(schemas[name])
    return seen


def _refs(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"].removeprefix(_REF)] if "$ref" in node else []
        return own + [ref for value in node.values() for ref in _refs(value)]
    if isinstance(node, list):
        return [ref for value in node for ref in _refs(value)]
    return []


def _readable(name: str) -> str:
    if match := _PAGE.match(name):
        return f"PageOf{match[1]}"
    if match := _DOMAIN.match(name):
        return f"{match[1].removesuffix('s').capitalize()}{match[2]}"
    return name


def _tidy(node: Any, names: dict[str, str]) -> Any:
    """References renamed, whole numbers written as such, patterns without what the decoder added to them."""
    match node:
        case dict():
            tidied = {key: _tidy(value, names) for key, value in node.items()}
            if isinstance(tidied.get("$ref"), str):
                name = tidied["$ref"].removeprefix(_REF)
                tidied["$ref"] = _REF + names.get(name, name)
            if isinstance(tidied.get("pattern"), str):
                tidied["pattern"] = tidied["pattern"].removesuffix("(?!\\n)")
            return tidied
        case list():
            return [_tidy(each, names) for each in node]
        case float() if node.is_integer():
            return int(node)
        case _:
            return node
