"""The SDK's transport, made to send a request once and to say truly whether it may have arrived.

azure-core takes every broken connection for a request that was not sent, and azure-cosmos sends such a one again, by
itself, writes too; aiohttp does the same below them. A commit that was written then meets itself, and looks like a
conflict with somebody else. Here a request is only said not to have been sent if no connection could be made.
"""

from typing import Any

from aiohttp import ClientConnectorError
from azure.core.exceptions import ServiceRequestError, ServiceRequestTimeoutError, ServiceResponseError
from azure.core.pipeline.transport import AioHttpTransport

from cludale.ports.records import StoreUnavailable


class NoAnswer(StoreUnavailable):
    """A request was sent and not answered: it may have been done or not."""


class OneTry(AioHttpTransport):  # type: ignore[misc] # exported lazily, so it has no type
    """Sends each request once. Raises NoAnswer, which the SDK hands on."""

    async def open(self) -> None:
        """Open the session."""
        await super().open()
        # aiohttp repeats PUT and DELETE on a connection that broke, and has no other switch for that.
        self.session._retry_connection = False  # noqa: SLF001

    async def send(self, request: Any, **options: Any) -> Any:
        """Send it. Raises ServiceRequestError if it was not sent, NoAnswer."""
        try:
            return await super().send(request, **options)
        except ServiceRequestTimeoutError:
            raise
        except (ServiceRequestError, ServiceResponseError) as error:
            if isinstance(error.__cause__, ClientConnectorError):
                raise
            raise NoAnswer(f"Cosmos DB broke off: {error}") from error
