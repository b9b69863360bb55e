"""Numbered seats: where they are, plans as files, and which of them a party gets. No I/O, clock, randomness or HTTP.

`layout` is a section's seats; `plans`, `pretix` and `table` read and write plans, `drawing` draws them. `picking`
chooses seats: with `ground` (where parties can sit at all), `index` (the best places), `halves` and `accessible`.
"""
