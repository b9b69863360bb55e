"""What PostgreSQL's log has is told table by table, indexes with it."""

from benchmarks.wal import Written, tally

LINES = """\
rmgr: Heap        len (rec/tot):    176/   176, tx:        777, lsn: 0/01A2B3C8, prev 0/01A2B390, desc: INSERT off 5 flags 0x00, blkref #0: rel 1663/16384/16391 blk 0
rmgr: Btree       len (rec/tot):     64/    64, tx:        777, lsn: 0/01A2B478, prev 0/01A2B3C8, desc: INSERT_LEAF off 5, blkref #0: rel 1663/16384/16395 blk 1
rmgr: Heap        len (rec/tot):     54/  8246, tx:        777, lsn: 0/01A2B4B8, prev 0/01A2B478, desc: HOT_UPDATE off 5, blkref #0: rel 1663/16384/99 blk 0 FPW
rmgr: Transaction len (rec/tot):     34/    34, tx:        777, lsn: 0/01A2B4F0, prev 0/01A2B4B8, desc: COMMIT 2026-12-01 04:20:00.000000 UTC
pg_waldump: error: what is no record is passed over
""".splitlines()  # noqa: E501 - as pg_waldump writes them


def test_each_record_counts_for_its_table_with_its_whole_pages() -> None:
    assert tally(LINES, {16391: "orders.orders_order", 16395: "orders.orders_order"}) == {
        "orders.orders_order": Written(records=2, bytes=240, index_records=1),
        "of PostgreSQL": Written(records=1, bytes=8_246),
        "transaction": Written(records=1, bytes=34),
    }
