"""A named collection of things of one kind. Dropdowns, command line, documentation and contract tests read these."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from vitdemo.errors import UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Entries in the order in which they were added.

    Args:
        kind: what one entry is called in an error message, such as "fusion".
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> T:
        """Adds an entry and returns it.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = entry
        return entry

    def get(self, name: str) -> T:
        """The entry of that name.

        Raises:
            UnknownNameError: there is none; the message lists the known names.
        """
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            raise UnknownNameError(self.kind, name, self.names()) from None

    def names(self) -> list[str]:
        return list(self._entries)

    def __iter__(self) -> Iterator[T]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)
