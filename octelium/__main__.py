"""One file, several programs: which one runs follows from the name it is started by."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the program that this process was started as, and end with its exit code."""
    from octelium.cli.entry import run

    sys.exit(run(sys.argv))


if __name__ == "__main__":
    main()
