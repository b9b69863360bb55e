"""What becomes of an order that is placed: part refunds, amendments, sent again."""
