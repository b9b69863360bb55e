"""Orders: what a buyer wants, and its life: Pending, Reserved, Paid, Cancelled."""
