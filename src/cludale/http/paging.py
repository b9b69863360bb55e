"""Collections, a page at a time: `{"items": […], "next": …}`; `next` is null at the end."""

from typing import Annotated, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter

T = TypeVar("T")

Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=200, description="how many items at most")]
After = Annotated[
    str | None, QueryParameter(name="after", max_length=4_096, description="the `next` of the page before this one")
]

DEFAULT_LIMIT = 50


class Page(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """A page of a collection. `next` is what to give as `after` for the page that follows."""

    items: list[T]
    next: str | None
