"""Ticket pages by typst and segno, in a process beside the one that sells: a page takes longer than an order."""
