"""Orders: a buyer's wish and its life: Pending, Reserved, Paid, Cancelled."""
