"""Which topics there are and which service tells and hears which, from the catalogue and the manifests. No I/O."""

from cludale.adapters.dapr import subscriptions
from cludale.services.catalogue import CATALOGUE, HEARS

TOPICS = sorted(topic.name for topic in CATALOGUE.topics)
dead_letters_of = subscriptions.dead_letter_topic


def topics_told(service: str) -> list[str]:
    """The topics that the service publishes to; none for one that publishes nothing."""
    return sorted(topic.name for topic in CATALOGUE.topics if topic.source == service)


def topics_heard(service: str) -> list[str]:
    """The topics that carry anything that the service hears; none for an app that is no service of ours."""
    return subscriptions.topics_heard(CATALOGUE, HEARS.get(service, ()))
