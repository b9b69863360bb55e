"""The distributed shape on one machine: finds and runs PostgreSQL, NATS, RabbitMQ and Dapr sidecars, on loopback.

No Docker, no root. Tests and `cludale up` use the same modules; nothing here is used in a cloud.
"""
