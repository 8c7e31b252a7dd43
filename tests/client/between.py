"""Somebody else who writes between a client's reading and its writing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.client.resources import Resources

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def between(monkeypatch: pytest.MonkeyPatch, *others: Callable[[Resources], object]) -> None:
    """Let each of `others` write right before one of the next updates is sent.

    What they themselves send is not disturbed.
    """
    send, waiting = Resources.update, list(others)
    busy = False

    def update(self: Resources, *arguments: Any, **options: Any) -> Any:
        nonlocal busy
        if waiting and not busy:
            busy = True
            try:
                waiting.pop(0)(self)
            finally:
                busy = False
        return send(self, *arguments, **options)

    monkeypatch.setattr(Resources, "update", update)
