"""What one file may make us hold, counted over everything that is read from it.

A pickle may refer to the same text, list or tensor as often as it likes, so that whatever copies what it is given can
be made to copy it a thousand times. Honest files refer to what they hold once: their copies together are no larger
than they are.
"""

from __future__ import annotations

from gan_edit_engine.checkpoints.errors import MalformedError

# Official snapshots need some 40,000 instructions (models of 30 to 250 MB), each at most about 250 bytes here.
MAX_OBJECTS = 500_000
# What honest files share: short texts, filters that several layers have in common.
SHARED = 1 << 20
# What a view of an array costs beside its elements.
VIEW = 64


class Budget:
    """For one file of ``size`` bytes, whatever streams lie within it; each method raises MalformedError beyond it."""

    def __init__(self, size: int) -> None:
        self._objects = MAX_OBJECTS
        self._copies = size + SHARED
        self._elements = size + SHARED

    def make(self, objects: int = 1) -> None:
        """An instruction of a pickle is carried out, or a call goes through so many items."""
        self._objects -= objects
        if self._objects < 0:
            raise MalformedError("its pickle has more instructions than any model needs")

    def copy(self, count: int) -> None:
        """A call is given a text or bytes of length ``count``, of which it may make a copy."""
        self._copies -= count
        if self._copies < 0:
            raise MalformedError("its pickle copies more data than the file has")

    def hand_out(self, elements: int) -> None:
        """An array is handed out to a reader: honest files hold at least a byte for each of its elements."""
        self._elements -= elements + VIEW
        if self._elements < 0:
            raise MalformedError("its weights claim more data than the file has")
