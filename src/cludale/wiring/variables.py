"""Variables of the environment: what each setting is called there, and its text as a value. Nothing is read here."""

from enum import StrEnum
from typing import Any

import msgspec

PREFIX = "CLUDALE_"


class UnusableSetting(ValueError):
    """A variable holds something that can't be used; the message names it and says what would do."""

    def __init__(self, variable: str, value: str, why: str) -> None:
        super().__init__(f"{variable}={value!r} can't be used: {why}")
        self.variable = variable


def variable_of(field: str, kind: Any) -> str:
    """The variable that a setting is read from."""
    _, _, variable = documentation_of(kind)
    return variable or PREFIX + field.upper()


def documentation_of(kind: Any) -> tuple[str, bool, str | None]:
    """What it means, whether it is a secret, and the name that everybody has for it."""
    for meta in kind.__metadata__:
        if meta.description is not None:
            return meta.description, bool(meta.extra["secret"]), meta.extra["variable"]
    raise TypeError(f"a setting without documentation: {kind}")


def converted(variable: str, text: str, kind: Any) -> Any:
    """The value that a text is. Raises UnusableSetting."""
    try:
        # as it stands first: `null` and `1` may be passwords
        return msgspec.convert(text, kind, dec_hook=_construct)
    except msgspec.ValidationError:
        pass
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        _, secret, _ = documentation_of(kind)
        wanted = _one_of(kind) or _wanted(str(error))
        raise UnusableSetting(variable, "****" if secret else text, wanted) from error


def _construct(type_: type[Any], value: str) -> Any:
    return type_(value)


def _one_of(kind: Any) -> str | None:
    """What is wanted of a setting that has a choice of words; None for the others."""
    choice = kind.__origin__
    if not (isinstance(choice, type) and issubclass(choice, StrEnum)):
        return None
    *others, last = choice
    return f"{', '.join(others)} or {last} is wanted"


_WORDS = {
    "Expected `int`, got `str`": "a whole number is wanted",
    "Expected `float`, got `str`": "a number is wanted",
    "Expected `bool`, got `str`": "1 or 0 is wanted",
    "Expected `str` matching regex '^postgres(ql)?://[^/?]*/?'": (
        "the address of a PostgreSQL database is wanted: postgresql://user:password@host:5432/name"
    ),
}


def _wanted(error: str) -> str:
    return _WORDS.get(error) or error.replace("Expected `int`", "wanted is").replace("Expected `float`", "wanted is")


def shown(value: object) -> str:
    """The text that makes this value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return f"{value:g}" if isinstance(value, float) else str(value)
