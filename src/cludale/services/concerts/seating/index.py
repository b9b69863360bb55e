"""The best place for each size of a party, kept up to date as seats are taken.

For every stretch and size there is a key, a whole number that orders places. Only the keys of a stretch that changed
are computed again. The least keys are kept for groups of stretches.

Where many stretches changed at once (holds that ended, a hall that is seen for the first time), whoever asks next does
not wait for all of it: keys of the size that is asked for are computed at once, the others by and by.
"""

from array import array
from bisect import insort
from itertools import islice

from cludale.services.concerts.seating.ground import NOWHERE, FoundPlace, Places, Stretch

_NONE = NOWHERE.key
_GROUP = 32
_AT_ONCE = 2
"""Of the stretches that wait, so many get all of their keys when a size is asked for."""
_PART = 64
"""And of those that wait beside them, one in so many."""
_KNOWN = 32
EVER = ~((1 << _KNOWN) - 1)
"""What stays of what is noted for a stretch when its seats change again: see `Index.changes`."""


class Index:
    """The stretches of a category, and for each size the least key of all. `free` has each row's free bits, always."""

    def __init__(self, stretches: list[Stretch], free: list[int]) -> None:
        self.stretches, self._free = stretches, free
        self.largest = max((len(each.shape.middles) for each in stretches), default=0)
        groups = -(-len(stretches) // _GROUP)
        self._keys = [array("q", [_NONE]) * len(stretches) for _ in range(self.largest)]
        self._least = [array("q", [_NONE]) * groups for _ in range(self.largest)]
        self._loose = [0] * self.largest
        """By size, a bit for each group whose least key is not known."""
        self._places: list[Places] = [()] * len(stretches)
        self._asked = list(range(self.largest))
        """Sizes whose keys are kept up to date, each less one: those that somebody has asked for."""
        self._changed = 0
        """A bit for each stretch that has changed since all keys were right."""
        self.changes = dict.fromkeys(range(len(stretches)), 0)
        """Stretches that have changed since all of their keys were computed. A bit for each size whose key was computed
        since its seats changed last and, _KNOWN bits higher, one for each size that was ever computed in between."""

    def copy(self, free: list[int]) -> "Index":
        """Another one of the same stretches, that looks there for what is free: now it is the same seats."""
        self.settle()
        index = Index(self.stretches, free)
        index._keys = [keys[:] for keys in self._keys]
        index._least = [least[:] for least in self._least]
        index._loose = self._loose.copy()
        index._places = self._places.copy()
        index._asked = []
        index._changed = self._changed
        index.changes = {}
        return index

    def best(self, size: int) -> FoundPlace:
        """The best place for so many, NOWHERE if no stretch has as many adjacent seats."""
        if size > self.largest:
            return NOWHERE
        if size - 1 not in self._asked:
            self._begin(size)
        if self.changes:
            self._catch_up(size)
        key = self._least_of(size)
        if key == _NONE:
            return NOWHERE
        keys, least = self._keys[size - 1], self._least[size - 1]
        at = keys.index(key, least.index(key) * _GROUP)
        stretch = self.stretches[at]
        place = stretch.shape.place(self._free_of(stretch), size)
        assert place is not None  # noqa: S101 - it has a key
        return FoundPlace(key, stretch.number, stretch.start(place, size))

    def _least_of(self, size: int) -> int:
        keys, least, loose = self._keys[size - 1], self._least[size - 1], self._loose[size - 1]
        while loose:
            group = loose.bit_length() - 1
            least[group] = min(keys[group * _GROUP : (group + 1) * _GROUP])
            loose ^= 1 << group
        self._loose[size - 1] = 0
        return min(least)

    def settle(self) -> None:
        """Compute all that waits."""
        for at, computed in self.changes.items():
            self._renew(at, computed)
        self.changes.clear()
        if len(self._asked) == self.largest:
            self._changed = 0

    def _catch_up(self, size: int) -> None:
        stale, bit = self.changes, 1 << size
        new = [at for at, computed in stale.items() if not computed & bit]
        besides = len(stale) // _PART + (_AT_ONCE if len(new) <= _AT_ONCE else 0)
        if besides:
            for at in list(islice(stale, besides)):
                self._renew(at, stale.pop(at))
        bit |= bit << _KNOWN
        for at in new:
            if at in stale:
                stale[at] |= bit
                self._renew_one(at, size)

    def _begin(self, size: int) -> None:
        """Nobody has asked for so many: compute the keys of what has changed, and keep them from now on."""
        insort(self._asked, size - 1)
        for at in self.changes:
            self._places[at] = ()  # their keys for this size are not those of what they were
        for at in range(self._changed.bit_length()):
            if self._changed >> at & 1 and at not in self.changes:
                self._places[at] = ()
                self._renew_one(at, size)

    def _free_of(self, stretch: Stretch) -> int:
        return self._free[stretch.row] >> stretch.first & stretch.shape.bits

    def has(self, size: int) -> bool:
        """Is there a place for so many? To be asked when all is settled."""
        if size > self.largest:
            return False
        if size - 1 not in self._asked:
            self._begin(size)
        return self._least_of(size) != _NONE

    def _renew(self, at: int, computed: int) -> None:
        """All keys of a stretch."""
        self._changed |= 1 << at
        stretch, before, asked = self.stretches[at], self._places[at], self._asked
        places = self._places[at] = stretch.shape.places(self._free_of(stretch), asked[-1] + 1 if asked else 1)
        group, known, sizes = at // _GROUP, len(before), len(places)
        ever = computed >> _KNOWN
        most = max(known, sizes, ever.bit_length() - 1) if known else self.largest
        for number in asked:
            if number >= most:
                break  # for so many there was no place before, either
            place = places[number] if number < sizes else None
            if number < known and place is before[number] and not ever >> number + 1 & 1:
                continue
            key = _NONE if place is None else stretch.key(place, number + 1)
            keys, least = self._keys[number], self._least[number]
            old = keys[at]
            keys[at] = key
            if key <= least[group]:
                least[group] = key
            elif old == least[group]:
                self._loose[number] |= 1 << group

    def _renew_one(self, at: int, size: int) -> None:
        """The key for one size."""
        stretch = self.stretches[at]
        shape = stretch.shape
        if size <= len(shape.middles):
            place = shape.place(self._free[stretch.row] >> stretch.first & shape.bits, size)
            key = _NONE if place is None else stretch.key(place, size)
            keys, least, group = self._keys[size - 1], self._least[size - 1], at // _GROUP
            old = keys[at]
            keys[at] = key
            if key <= least[group]:
                least[group] = key
            elif old == least[group]:
                self._loose[size - 1] |= 1 << group
