"""What stands in the way of telemetry, said at the start. Loads nothing."""


class NoTelemetry(Exception):
    """Telemetry is asked for and can't be had; the message says what to do."""


def not_installed(variable: str, extra: str, missing: ImportError) -> NoTelemetry:
    """What sends telemetry to where `variable` says isn't here."""
    return NoTelemetry(
        f"{variable} is set, but what it needs is not installed ({missing}): pip install 'cludale[{extra}]'"
    )
