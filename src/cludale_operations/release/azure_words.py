"""How every command line of azure-cli ends, as lists of words: of which subscription, and JSON as the answer. Pure."""

Words = list[str]


class AzureWords:
    """Builds command lines for one resource group. A service's container app has the service's name."""

    def __init__(self, resource_group: str, subscription: str | None = None) -> None:
        self._group = resource_group
        self._subscription = subscription

    def _json(self, *words: str) -> Words:
        subscription = ["--subscription", self._subscription] if self._subscription else []
        return [*words, *subscription, "--only-show-errors", "--output", "json"]

    def _app(self, *words: str, service: str) -> Words:
        return self._json("containerapp", *words, "--name", service, "--resource-group", self._group)
