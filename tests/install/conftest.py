"""A booted Debian 12, for the tests of one module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.install.machine import Machine, booted
from tests.install.releases import checksums, release, zipapp
from tests.install.roots import DEBIAN, root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with a release each."""
    folder = tmp_path_factory.mktemp("releases")
    built = zipapp(DEBIAN.python)
    release(folder / "good", built)
    release(folder / "next", built, "99.1.0")
    release(folder / "broken", built, "99.2.0", breaks=True)
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
    with booted(root(DEBIAN), releases, tmp_path_factory.mktemp("machine")) as made:
        yield made
