"""Options of a command that belong together, as one frozen struct that the command line fills."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_type_hints

import msgspec

S = TypeVar("S", bound=msgspec.Struct)


def filling(options: type[S]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The command gets `options` as its keyword argument of that name, filled from the command line.

    Each field of the struct is an option, written as a parameter of a command is:
    `venue: Annotated[str | None, typer.Option(help="Where it takes place.")] = None`.
    """
    kinds = get_type_hints(options, include_extras=True)
    fields = {
        each.name: inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=_default(each), annotation=kinds[each.name]
        )
        for each in msgspec.structs.fields(options)
    }

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def filled(**given: Any) -> None:
            command(**{name: given.pop(name) for name in own}, options=options(**given))

        signature = inspect.signature(command, eval_str=True)
        own = {name: each for name, each in signature.parameters.items() if name != "options"}
        parameters = sorted([*own.values(), *fields.values()], key=lambda each: each.kind)
        filled.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # typer reads it
        return filled

    return decorated


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return inspect.Parameter.empty if field.default is msgspec.NODEFAULT else field.default
