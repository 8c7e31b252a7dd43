"""The system below the code in the image: Debian's Python and the libraries that it loads.

apt fetches the packages and checks them by Debian's signatures, with state of its own, so that
nothing of this machine changes and no root is needed. There is no shell and no package manager in
what comes out. `var/lib/dpkg/status.d` says which packages it is made of, in the form that
scanners of images read.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from build_zipapp import BUILD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

FOLDER = BUILD / "image"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Debian's names of machines, which are those of OCI too."""
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
WANTED = (f"{PYTHON}-minimal", f"lib{PYTHON}-stdlib", "libstdc++6", "ca-certificates", "tzdata")
"""Everything else follows from what these depend on."""
NOT_WANTED = re.compile(
    "debconf.*|media-types|mailcap|openssl"  # programs, and what only their installation needs
    "|libdb5.*|libncursesw6|libnsl2|libreadline8.*|libtinfo6|libtirpc3.*"
)
"""Packages that others depend on, and nothing in the image uses."""
IDLE = (
    # modules of Python whose libraries are left out, and those that only developers use
    *(f"usr/lib/python3*/{name}" for name in (
        "curses", "dbm", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test",
        "tkinter", "turtle*", "pydoc.py", "doctest.py",
    )),
    *(f"usr/lib/python3*/lib-dynload/{name}.*" for name in (
        "_curses", "_curses_panel", "_dbm", "_gdbm", "_tkinter", "nis", "readline", "_test*",
        "_ctypes_test", "_xxtestfuzz",
    )),
    # character sets of iconv(1), vector mathematics, programs, everything for installation
    "usr/lib/*/gconv", "lib/*/libmvec*", "usr/lib/*/libmvec*", "lib/*/libBrokenLocale*",
    "usr/lib/*/audit", "usr/lib/locale", "usr/lib/binfmt.d",
    "sbin", "usr/sbin", "usr/lib/valgrind", "etc/ld.so.conf*",
    "etc/ca-certificates*", "etc/default", "etc/python3*", "usr/share/binfmts", "usr/share/gcc*",
    "usr/share/gdb", "usr/share/apport", "usr/share/pixmaps", "usr/share/applications",
    "usr/share/lintian", "usr/share/man", "usr/share/info", "usr/share/locale",
    # leap seconds, a copy of all zones
    "usr/share/zoneinfo/right", "usr/share/zoneinfo/posix",
)  # fmt: skip
"""What is taken out again."""
PROGRAMS = {PYTHON}
"""What stays in /usr/bin."""
AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"


class MissingError(Exception):
    """Something that the image needs cannot be had; says what, and what to do."""


def system(root: Path, machine: str, *, offline: bool = False) -> dict[str, str]:
    """Lay out the system in a new folder `root`; names and versions of its packages.

    `offline` takes the packages that an earlier call fetched. Raises MissingError.
    """
    if machine not in ARCHITECTURES:
        raise MissingError(f"no image for {machine}; there are {', '.join(ARCHITECTURES)}")
    for tool, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg")):
        if shutil.which(tool) is None:
            raise MissingError(
                f"there is no {tool}: the image is made of Debian's packages; build it on Debian"
                f" or Ubuntu (package {package})"
            )
    archives = fetched(FOLDER / ARCHITECTURES[machine], machine, offline=offline)
    versions = {}
    for archive in archives:
        run("dpkg-deb", "-x", archive, root)
        control = run("dpkg-deb", "-f", archive)
        name, version = _field(control, "Package"), _field(control, "Version")
        status = root / "var/lib/dpkg/status.d" / name
        status.parent.mkdir(parents=True, exist_ok=True)
        status.write_text(control.rstrip() + "\n")
        versions[name] = version
    _authorities(root)
    _strip(root)
    return versions


def fetched(folder: Path, machine: str, *, offline: bool = False) -> list[Path]:
    """The packages' files in `folder`, sorted, fetched by apt. Raises MissingError."""
    listed = folder / f"{PYTHON}.packages"
    if offline:
        names = listed.read_text().split() if listed.exists() else []
        paths = [folder / name for name in names]
        if not paths or not all(path.exists() for path in paths):
            raise MissingError(
                f"the packages {', '.join(WANTED)} and what they depend on were not fetched into"
                f" {folder} yet; leave out --offline once, with access to Debian's archive"
            )
        return paths
    apt = Apt(folder / "apt", ARCHITECTURES[machine])
    apt.update()
    names = apt.closure(WANTED)
    drafts = folder / "fetched"
    drafts.mkdir(parents=True, exist_ok=True)
    apt.download(names, drafts)
    # Of what earlier calls fetched, only what apt names now.
    current = sorted(apt.files(names))
    if len(current) != len(names) or not all((drafts / name).exists() for name in current):
        raise MissingError(f"apt fetched other files into {drafts} than {', '.join(current)}")
    listed.write_text("".join(f"fetched/{name}\n" for name in current))
    return [drafts / name for name in current]


class Apt:
    """apt with state in a folder, for an architecture, from the places that this machine uses."""

    def __init__(self, folder: Path, architecture: str) -> None:
        for part in ("state/lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        options = {
            "Dir::State": folder / "state",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": folder / "cache",
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            # What is not signed by a key that this machine trusts is not taken.
            "Acquire::AllowInsecureRepositories": "false",
            "APT::Get::AllowUnauthenticated": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        if os.geteuid() == 0:
            options["APT::Sandbox::User"] = "root"  # others cannot write here
        self._options = [
            word for key, value in options.items() for word in ("-o", f"{key}={value}")
        ]

    def update(self) -> None:
        """Fetch the lists of packages."""
        try:
            run("apt-get", *self._options, "update", "-qq", "--error-on=any")
        except MissingError as error:
            raise MissingError(
                f"{error}\nThe image needs the packages {', '.join(WANTED)} and what they depend on"
                " from Debian's archive, which apt cannot reach or does not trust; --offline takes"
                " those that were fetched before"
            ) from error

    def closure(self, names: Iterable[str]) -> list[str]:
        """The packages and what they depend on, sorted, without NOT_WANTED."""
        options = ("depends", "--important", "--recurse")
        graph = _dependencies(run("apt-cache", *self._options, *options, *names))
        found: set[str] = set()
        new = set(names)
        while new:
            found |= new
            new = {name for one in new for name in graph.get(one, ())} - found
            new = {name for name in new if not NOT_WANTED.fullmatch(name)}
        return sorted(found)

    def files(self, names: Sequence[str]) -> set[str]:
        """The names of the packages' files, as `download` names them."""
        said = run("apt-get", *self._options, "download", "--print-uris", *names)
        return {line.split()[1] for line in said.splitlines()}

    def download(self, names: Sequence[str], folder: Path) -> None:
        """Fetch packages into a folder; apt compares their SHA-256 with the signed lists."""
        run("apt-get", *self._options, "download", "-qq", *names, cwd=folder)


def run(*words: str | Path, cwd: Path | None = None) -> str:
    """What a program writes. Raises MissingError with what it says if it fails."""
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        words, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MissingError(f"{words[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _dependencies(said: str) -> dict[str, set[str]]:
    """Packages and what they depend on, as `apt-cache depends` writes it.

    Of alternatives (`|Depends`) the first counts.
    """
    found: dict[str, set[str]] = {}
    own: set[str] = set()
    another = False
    for line in said.splitlines():
        if not line.startswith(" "):
            own = found.setdefault(line.strip("<>"), set())
            another = False
        elif match := re.fullmatch(r" ([ |])(?:Pre)?Depends: (\S+)", line):
            if not another:
                own.add(match[2].strip("<>").partition(":")[0])
            another = match[1] == "|"
    return found


def _field(control: str, name: str) -> str:
    match = re.search(rf"^{name}: (\S+)$", control, re.MULTILINE)
    if match is None:
        raise MissingError(f"a package has no field {name}")
    return match[1]


def _authorities(root: Path) -> None:
    """Put the certificates of authorities where OpenSSL of Debian looks for them."""
    folder = root / "usr/share/ca-certificates"
    texts = {
        hashlib.sha256(content := path.read_bytes()).hexdigest(): content
        for path in sorted(folder.rglob("*.crt"))
    }
    if not texts:
        raise MissingError("the package ca-certificates holds no certificates")
    bundle = root / AUTHORITIES
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(b"".join(text.rstrip() + b"\n" for text in texts.values()))
    shutil.rmtree(folder)
    default = root / "usr/lib/ssl/cert.pem"
    default.parent.mkdir(parents=True, exist_ok=True)
    default.symlink_to(f"/{AUTHORITIES}")


def _strip(root: Path) -> None:
    """Take out what is idle. Licences stay."""
    paths = {str(path.relative_to(root)): path for path in root.rglob("*")}
    for name, path in paths.items():
        if _is_idle(name, is_file=path.is_file() and not path.is_symlink()):
            remove(path)
    for path in sorted(paths.values(), reverse=True):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


def _is_idle(name: str, *, is_file: bool) -> bool:
    top, _, rest = name.rpartition("/")
    if top == "usr/bin":
        return rest not in PROGRAMS
    if name.startswith("usr/share/doc/"):
        return is_file and rest != "copyright"
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in IDLE)


def remove(path: Path) -> None:
    """Delete what is there, a link itself and not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
