"""What can go wrong with an expression."""

from __future__ import annotations


class CompileError(ValueError):
    """An expression or condition that cannot be used; the text says what is wrong with it."""


class EvaluationError(Exception):
    """An evaluation that came to no result. Whoever asked must refuse."""


class CelError(EvaluationError):
    """An error in the sense of the CEL specification, which `&&`, `||` and macros may absorb."""


class MissingDataError(CelError):
    """Nothing stands where the expression looked: an absent key, a field of null, a bad index."""


class MissingPathError(MissingDataError):
    """`MissingDataError` for a path, whose text is made only when somebody reads it."""

    def __str__(self) -> str:
        return f"no such key: {'.'.join(self.args)}"


class MissingKeyError(MissingDataError):
    """`MissingDataError` for a key, which may be long."""

    def __str__(self) -> str:
        (key,) = self.args
        return f"no such key: {key[:64] if isinstance(key, (str, bytes)) else key!r}"


class UnknownDataError(CelError):
    """The expression needs a part of the context that is not known yet.

    It propagates as an error does, so a result that comes out in spite of it holds whatever the
    unknown part turns out to be.
    """


class BudgetError(EvaluationError):
    """The evaluation costs more than it may. Nothing absorbs this."""
