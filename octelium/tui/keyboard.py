"""What is typed, one key after the other, each to the screen that is on top at its turn.

Screens take a moment to appear. What is typed in that moment is meant for them, never for what they
lie over: it waits, and is taken in order. Over a slow connection many keys come at once.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from textual import events

if TYPE_CHECKING:
    from collections.abc import Callable

LEAVE: Final = ("ctrl+c", "ctrl+q")
"""Keys that end what is on top at once; what was typed before them is forgotten, as terminals do
(`NOFLSH` in termios(3))."""


@runtime_checkable
class Typist(Protocol):
    """A screen that takes keys."""

    is_ready: bool
    """Whether it has appeared."""

    def take_key(self, key: str, character: str | None) -> None:
        """Take one key: its name, and the character that it writes."""

    def take_text(self, text: str) -> None:
        """Take a text that was pasted."""


class Keyboard:
    """The keys that wait. `top` tells which screen is on top, `leave` ends that."""

    def __init__(self, top: Callable[[], object], leave: Callable[[], None]) -> None:
        self._top = top
        self._leave = leave
        self._typed: deque[events.Key | events.Paste] = deque()
        self._is_busy = False

    def take(self, event: events.Key | events.Paste) -> None:
        """Take what was typed, now or when its screen is there."""
        if isinstance(event, events.Key) and event.key in LEAVE:
            self._typed.clear()
            self._leave()
            return
        self._typed.append(event)
        self.go_on()

    @property
    def is_waiting(self) -> bool:
        """Whether something that was typed has not been taken yet."""
        return bool(self._typed)

    def forget(self) -> None:
        """Forget what waits: it was typed for something else."""
        self._typed.clear()

    def go_on(self) -> None:
        """Give on what waits, as far as there is a screen for it."""
        if self._is_busy:
            return
        self._is_busy = True
        try:
            while self._typed:
                screen = self._top()
                if not isinstance(screen, Typist) or not screen.is_ready:
                    return
                event = self._typed.popleft()
                if isinstance(event, events.Paste):
                    screen.take_text(event.text)
                else:
                    screen.take_key(event.key, event.character)
        finally:
            self._is_busy = False
