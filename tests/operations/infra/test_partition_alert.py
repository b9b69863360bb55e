"""A partition that fills up is told of well before it is full, and no segment of the audit log is taken for one."""

from tests.operations.infra.templates import ENVIRONMENTS, running
from tools.cosmos_growth.model import ALLOWANCE, PARTITION_BYTES, SEGMENT_ENTRIES

from cludale.services.audit.service import Audit
from cludale_proof.simulator.processes import RunLimits

ENTRY_BYTES = 1_200
"""Of an audit entry's document, rounded up from docs/evidence/cosmos-db.md."""


def test_a_filling_partition_is_told_of_before_it_is_full_and_after_a_segment_is() -> None:
    for environment in ENVIRONMENTS:
        (alert,) = (
            each.body["properties"]
            for each in running(environment).of("Microsoft.Insights/scheduledQueryRules")
            if each.symbol == "filling"
        )
        (criterion,) = alert["criteria"]["allOf"]
        threshold = criterion["threshold"] * 10**9
        assert SEGMENT_ENTRIES * ENTRY_BYTES * ALLOWANCE < threshold <= 0.75 * PARTITION_BYTES


def test_what_the_alert_asks_is_logged() -> None:
    """CDBPartitionKeyStatistics is the table of that category."""
    for environment in ENVIRONMENTS:
        (logs,) = (
            each.body["properties"]
            for each in running(environment).of("Microsoft.Insights/diagnosticSettings")
            if each.module == "cosmosAccess"
        )
        assert logs["logAnalyticsDestinationType"] == "Dedicated", "else there is no table of that name"
        assert {"category": "PartitionKeyStatistics", "enabled": True} in logs["logs"]


def test_a_segment_has_as_many_entries_as_the_growth_is_reckoned_with() -> None:
    assert RunLimits().audit_segment_entries == SEGMENT_ENTRIES
    assert (Audit.__init__.__kwdefaults__ or {})["segment_entries"] == SEGMENT_ENTRIES
