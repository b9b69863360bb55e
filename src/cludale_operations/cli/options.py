"""Options of a command that belong together, as one frozen struct that the command line fills."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec

Command = Callable[..., None]


def filling(options: type[msgspec.Struct]) -> Callable[[Command], Command]:
    """The command's parameter `options` is filled from the command line.

    Each field of the struct is an option, and is written as a parameter of a command is:
    `venue: Annotated[str | None, typer.Option(help="Where it takes place.")] = None`.
    """
    kinds = get_type_hints(options, include_extras=True)
    fields = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if each.required else each.default,
            annotation=kinds[each.name],
        )
        for each in msgspec.structs.fields(options)
    ]

    def decorated(command: Command) -> Command:
        @functools.wraps(command)
        def filled(**given: Any) -> None:
            command(options=options(**{each.name: given.pop(each.name) for each in fields}), **given)

        signature = inspect.signature(command, eval_str=True)
        parameters = [
            each for own in signature.parameters.values() for each in (fields if own.name == "options" else [own])
        ]
        filled.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # typer reads it
        return filled

    return decorated
