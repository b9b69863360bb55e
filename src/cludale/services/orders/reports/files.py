"""Files of reports as responses."""

from collections.abc import AsyncIterator

from cludale.services.orders.reports.sheets import MEDIA_TYPES, Format
from cludale.web.responses import Stream


def file_response(format: Format, name: str, chunks: AsyncIterator[bytes]) -> Stream:
    """The file, as it comes, to be saved under this name."""
    headers = (
        ("cache-control", "no-store"),
        ("content-disposition", f'attachment; filename="{name}"'),
    )
    return Stream(chunks, MEDIA_TYPES[format], headers)
