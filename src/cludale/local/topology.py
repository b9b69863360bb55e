"""Which topics there are and which service hears which, from the catalogue and the manifests. No I/O."""

from cludale.compose.roster import HEARS
from cludale.services.catalogue import CATALOGUE

TOPICS = sorted(topic.name for topic in CATALOGUE.topics)
DEAD_LETTERS = "dead-letters"


def topics_heard(service: str) -> list[str]:
    """The topics that carry anything that the service hears; none for an app that is no service of ours."""
    heard = HEARS.get(service, frozenset())
    return [topic.name for topic in CATALOGUE.topics if any(event.__name__ in heard for event in topic.events)]


def dead_letters_of(service: str) -> str:
    """The topic of what a service could not take."""
    return f"{service}-{DEAD_LETTERS}"
