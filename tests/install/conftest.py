"""A booted Debian 12, for the tests of one module.

Its files are made beside the other tests, which is why these come last. Where no system can be
booted, the tests are skipped and say why; at full length (OCTELIUM_SOAK=1) they fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import SOAK
from tests.install.machine import Machine, booted
from tests.install.releases import checksums, release, zipapp
from tests.install.roots import DEBIAN, root
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent
_begun: list[subprocess.Popen[bytes]] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have what needs a system come last, and begin to make it."""
    late = {
        item: None
        for item in items
        if item.path.parent == _HERE and "machine" in getattr(item, "fixturenames", ())
    }
    items[:] = [*(item for item in items if item not in late), *late]
    wanted = late and not config.option.collectonly
    if wanted and not _begun and os.geteuid() == 0 and shutil.which("debootstrap"):
        words = ("nice", "-n", "19", sys.executable, "-m", "tests.install.roots")
        _begun.append(
            subprocess.Popen(
                words, cwd=_HERE.parents[1], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        )


def pytest_sessionfinish() -> None:
    """Leave no process behind: a root that is being made is finished."""
    for process in _begun:
        process.wait()


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with a release each."""
    folder = tmp_path_factory.mktemp("releases")
    built = zipapp(DEBIAN.python)
    release(folder / "good", built)
    release(folder / "next", built, "99.1.0")
    release(folder / "broken", built, "99.2.0", breaks=True)
    shutil.copy(program("busybox", "busybox"), folder)
    return folder


@pytest.fixture(scope="session")
def bad_releases(releases: Path) -> Path:
    """Further folders, with releases that are none."""
    small = b"#!/usr/bin/env python3.11\n" + bytes(1000)
    name = "octelium-1.0.0-py311-linux-x86_64.pyz"
    for what in ("cut", "changed", "foreign", "unlisted", "signed"):
        folder = releases / what
        folder.mkdir()
        (folder / name).write_bytes(small)
        for script in ("install.sh", "uninstall.sh"):
            (folder / script).write_bytes((releases / "good" / script).read_bytes())
        checksums(folder)
    (releases / "cut" / name).write_bytes(small[:-400])
    (releases / "changed" / "uninstall.sh").write_text("echo changed\n")
    (releases / "unlisted" / "SHA256SUMS").unlink()
    (releases / "foreign" / name).rename(releases / "foreign" / name.replace("py311", "py39"))
    checksums(releases / "foreign")
    return releases


@pytest.fixture(scope="module")
def machine(releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The machine. It is as fresh as the tests before have left it."""
    with ExitStack() as stack:
        try:
            folder = tmp_path_factory.mktemp("machine")
            made = stack.enter_context(booted(root(DEBIAN), releases, folder))
        except (OSError, RuntimeError) as error:
            if SOAK:
                raise
            pytest.skip(f"no system can be booted here: {error}")
        yield made
