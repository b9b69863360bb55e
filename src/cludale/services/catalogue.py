"""The catalogue: every event of the platform, from each service's `events.py`. A test fails if one is missing."""

from cludale.kernel.events import Catalogue
from cludale.services.concerts import events as concerts
from cludale.services.notifications import events as notifications
from cludale.services.orders import events as orders
from cludale.services.payments import events as payments

CATALOGUE = Catalogue((concerts.TOPIC, orders.TOPIC, payments.TOPIC, notifications.TOPIC))
