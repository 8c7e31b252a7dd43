"""The functions that an expression can call, one module per library.

Each is found by its name and its number of arguments, the target of a member call included, and
takes the evaluation's frame and those arguments. It raises `CelError` for types it does not take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.policy.cel.functions import encoders, mathematics, octelium, standard, text

if TYPE_CHECKING:
    from collections.abc import Callable

FUNCTIONS: Final[dict[tuple[str, int], Callable[..., object]]] = {
    **standard.FUNCTIONS,
    **text.FUNCTIONS,
    **mathematics.FUNCTIONS,
    **encoders.FUNCTIONS,
    **octelium.FUNCTIONS,
}
