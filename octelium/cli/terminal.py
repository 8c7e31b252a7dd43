"""What a person sees: the thing asked for on stdout, everything else on stderr."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, TextIO

from octelium.cli import exits
from octelium.cli.inert import inert_lines
from octelium.client.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

_STDERR = 2
_STYLES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2"}


class Terminal:
    """The standard streams, with colour where a person looks at them.

    Colour never carries a meaning of its own. It is off for pipes and files, with `NO_COLOR`
    (https://no-color.org) and on dumb terminals. The streams are looked up at each use, since
    tests and `click` replace them.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"

    def show(self, text: str) -> None:
        """Write a part of what was asked for; a missing newline is added.

        Ends the program, without a word, if the reader has seen enough (`… | head`). Raises
        OutputError.
        """
        if sys.stdout is None:  # typeshed does not know that it may be
            raise OutputError("cannot write the output: stdout is closed")
        try:
            _write(sys.stdout, text)
        except BrokenPipeError:
            _give_up(sys.stdout)
            raise SystemExit(exits.READER_GONE) from None
        except OSError as error:
            _give_up(sys.stdout)
            raise OutputError(f"cannot write the output: {error.strerror}") from error

    def note(self, text: str) -> None:
        """Tell something on the side."""
        _write(sys.stderr, inert_lines(text))

    def warn(self, text: str) -> None:
        """Tell something that may be wrong."""
        _write(
            sys.stderr,
            f"{self._styled('Warning:', 'yellow', stream=sys.stderr)} {inert_lines(text)}",
        )

    def fail(self, text: str, remedy: str = "") -> None:
        """Tell what went wrong, and what to do about it."""
        _write(
            sys.stderr, f"{self._styled('Error:', 'red', stream=sys.stderr)} {inert_lines(text)}"
        )
        if remedy:
            _write(sys.stderr, f"  {inert_lines(remedy)}")

    def columns(self) -> int | None:
        """How many columns a line may have; None where no person looks at stdout."""
        if not _is_terminal(sys.stdout):
            return None
        return shutil.get_terminal_size().columns

    def style(self, text: str, *styles: str) -> str:
        """The text as stdout shall show it."""
        return self._styled(text, *styles, stream=sys.stdout)

    def _styled(self, text: str, *styles: str, stream: TextIO) -> str:
        if self._plain or not _is_terminal(stream):
            return text
        codes = ";".join(_STYLES[style] for style in styles)
        return f"\x1b[{codes}m{text}\x1b[0m"


class OutputError(ClientError):
    """Output that nobody can take: a full disk, a pipe without a reader, a closed stdout."""


def silence_stderr() -> None:
    """Lose what is written to stderr from now on, also by libraries that use its descriptor."""
    sys.stderr = None
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)


def _give_up(stream: TextIO) -> None:
    # What is left in the buffer would fail again, with a traceback, when the process ends.
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return  # not a file of the operating system
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # closed before this process began; for stderr there is nobody to tell
        return
    text = text if text.endswith("\n") else f"{text}\n"
    try:
        stream.write(text)
    except UnicodeEncodeError as error:  # a locale without these characters
        stream.write(text.encode(error.encoding, "replace").decode(error.encoding))
    stream.flush()
