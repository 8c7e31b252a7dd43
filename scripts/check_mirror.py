"""Fail when a source file has no test file of the same name, or the reverse.

`octelium/<room>/<name>.py` is mirrored by `tests/<room>/test_<name>.py`, `scripts/` and `bench/`
are not mirrored; `tests/e2e` and `tests/security` hold tests of whole walks, `tests/peers` those
of the peers themselves.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_MIRRORED = {Path("schema/pb")}
FREE_TESTS = {"docs", "e2e", "security", "house", "install", "peers"}


def sources() -> set[Path]:
    found = set()
    for top in ("octelium", "tui"):
        base = ROOT / top
        for path in base.rglob("*.py"):
            relative = path.relative_to(base)
            if path.name == "__init__.py" or relative.parent in NOT_MIRRORED:
                continue
            found.add((Path(top) if top != "octelium" else Path()) / relative)
    return found


def tests() -> set[Path]:
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        relative = path.relative_to(ROOT / "tests")
        if relative.parts[0] in FREE_TESTS:
            continue
        found.add(relative.with_name(relative.name.removeprefix("test_")))
    return found


def main() -> int:
    have, tested = sources(), {path.with_name(path.name.strip("_")) for path in tests()}
    missing = sorted(p for p in have if p.with_name(p.stem.strip("_") + ".py") not in tested)
    wanted = {path.with_name(path.stem.strip("_") + ".py") for path in have}
    orphans = sorted(tested - wanted)
    for path in missing:
        print(f"octelium/{path} has no tests/{path.parent}/test_{path.stem.strip('_')}.py")
    for path in orphans:
        print(f"tests/{path.parent}/test_{path.name} mirrors no source file")
    return 1 if missing or orphans else 0


if __name__ == "__main__":
    sys.exit(main())
