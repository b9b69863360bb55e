"""Everything that is said to a Dapr sidecar and heard from it, over its HTTP API.

sidecar.py     asks the sidecar: health, what it has, secrets
publisher.py   events to a topic, in bulk where it can be
subscriptions.py  what `/dapr/subscribe` answers
consumption.py  are all events taken, a few, or none
inbound.py     what comes in: deliveries, and what goes to the dead-letter topic
bus.py         the EventBus of all that
state/         a state store as Records, for the audit log
routes.py      the HTTP routes that the sidecar calls, and who may call them
"""
