"""Themes: faults that come together and often, for what one alone seldom does, they do to each other."""

from collections.abc import Mapping

from cludale_proof.simulator.faults import Fault

THEMES: Mapping[str, Mapping[Fault, float]] = {
    "clocks": {
        Fault.CLOCK_FORWARD: 10.0,
        Fault.CLOCK_BACK: 10.0,
        Fault.CLOCK_SKEW: 1.0,
        Fault.CHARGE_SLOW: 0.6,
        Fault.CHARGE_TROUBLE: 0.2,
    },
    "slow payments": {
        Fault.CHARGE_SLOW: 0.5,
        Fault.CHARGE_LATE: 0.3,
        Fault.CHARGE_UNANSWERED: 0.3,
        Fault.PROVIDER_OUTAGE: 2.0,
        Fault.PAID_AGAIN: 0.6,
        Fault.PAID_AT_ONCE: 0.4,
    },
    "crashes": {
        Fault.CRASH_AT_STEP: 12.0,
        Fault.CRASH_BEFORE_COMMIT: 0.02,
        Fault.CRASH_AFTER_COMMIT: 0.04,
        Fault.CRASH_BEFORE_ACK: 0.04,
        Fault.CRASH_WHILE_PAYING: 0.15,
        Fault.AFTER_THE_SALE: 0.5,
        Fault.CRASH_WHILE_HOLDING: 0.1,
    },
    "frozen": {
        Fault.PAUSED: 6.0,
        Fault.PAUSED_WHILE_PAYING: 0.3,
        Fault.DELIVERY_AGAIN: 0.15,
        Fault.DECLINED: 0.4,
        Fault.CHARGE_TROUBLE: 0.2,
        Fault.PAID_AGAIN: 0.9,
    },
    "bad delivery": {
        Fault.DELIVERY_LATE: 0.4,
        Fault.DELIVERY_TWICE: 0.3,
        Fault.DELIVERY_AGAIN: 0.2,
        Fault.DELIVERY_REORDERED: 0.8,
        Fault.ACK_LOST: 0.2,
        Fault.BULK_UNANSWERED: 0.1,
        Fault.APP_UNREACHABLE: 0.15,
        Fault.POISON: 2.0,
        Fault.CANCELLED_AT_ONCE: 0.1,
    },
    "lost for good": {
        Fault.DELIVERY_LOST_FOR_GOOD: 0.25,
        Fault.REDELIVERED: 0.0,
        Fault.DELIVERY_AGAIN: 0.0,
        Fault.DECLINED: 0.2,
        Fault.CHARGE_SLOW: 0.3,
        Fault.PAID_AGAIN: 0.4,
        Fault.PAID_IN_ANOTHER_WAY: 0.5,
        Fault.AFTER_THE_SALE: 0.4,
        Fault.CANCELLED_AT_ONCE: 0.15,
        Fault.CANCELLED_BY_ORGANIZER: 0.05,
    },
    "audit far behind": {
        Fault.DELIVERY_LATE: 0.8,
        Fault.DELIVERY_REORDERED: 0.9,
        Fault.DELIVERY_TWICE: 0.3,
        Fault.DELIVERY_AGAIN: 0.2,
        Fault.COMMIT_UNKNOWN: 0.05,
        Fault.CRASH_AFTER_COMMIT: 0.03,
    },
    "holes in the log": {
        Fault.LOG_LOST: 0.05,
        Fault.REDELIVERED: 0.0,
    },
    "bad store": {
        Fault.COMMIT_UNKNOWN: 0.08,
        Fault.COMMIT_AWAY: 0.08,
        Fault.COMMIT_IN_PART: 0.3,
        Fault.STORE_SLOW: 0.1,
    },
    "concerts far away": {
        Fault.HOLD_UNASKED: 0.3,
        Fault.HOLD_UNANSWERED: 0.3,
        Fault.HOLD_SLOW: 0.3,
        Fault.HOLD_TWICE: 0.3,
        Fault.PARTITION: 3.0,
    },
    "changes of mind": {
        Fault.CANCELLED_AT_ONCE: 0.3,
        Fault.CANCELLED_AT_EXPIRY: 0.3,
        Fault.CANCELLED_BY_ORGANIZER: 0.1,
        Fault.PAID_AGAIN: 0.6,
        Fault.DECLINED: 0.3,
        Fault.PAID_IN_ANOTHER_WAY: 0.6,
        Fault.PAID_AT_EXPIRY: 0.3,
        Fault.AFTER_THE_SALE: 0.9,
        Fault.DELIVERY_LATE: 0.3,
        Fault.DELIVERY_TWICE: 0.2,
        Fault.STORE_SLOW: 0.15,
    },
    "at the door": {
        Fault.TWO_DOORS: 0.9,
        Fault.SCANNED_AGAIN: 0.4,
        Fault.TRANSFERRED: 0.5,
        Fault.CANCELLED_AT_ONCE: 0.2,
        Fault.REPLY_LOST: 0.2,
        Fault.COMMIT_UNKNOWN: 0.04,
        Fault.STORE_SLOW: 0.15,
    },
    "impatience": {
        Fault.KEY_RACED: 0.5,
        Fault.KEY_REPEATED: 0.5,
        Fault.KEY_REUSED: 0.4,
        Fault.REPLY_LOST: 0.3,
        Fault.HUNG_UP: 0.4,
    },
    "changes": {},
    "prices": {
        Fault.AFTER_THE_SALE: 0.9,
        Fault.DELIVERY_LATE: 0.2,
        Fault.DECLINED: 0.2,
        Fault.CHARGE_SLOW: 0.2,
    },
    "webhooks": {
        Fault.WEBHOOK_AWAY: 0.15,
        Fault.WEBHOOK_TROUBLE: 0.15,
        Fault.WEBHOOK_UNANSWERED: 0.1,
        Fault.CRASH_AT_STEP: 6.0,
        Fault.CRASH_AFTER_COMMIT: 0.02,
        Fault.CLOCK_FORWARD: 0.0,
        Fault.CLOCK_BACK: 0.0,
        Fault.CLOCK_SKEW: 0.0,
    },
}
"""By name: how often each of its faults strikes while it reigns."""

ONLY_BY_NAME = frozenset({"changes", "prices", "webhooks"})
"""The organizer changes, moves and calls off what is on sale; there are price lists and codes: in some of all runs, and
in each of the theme. Events are posted to servers: in runs of that theme alone. They are not drawn, so that seeds keep
their runs."""
