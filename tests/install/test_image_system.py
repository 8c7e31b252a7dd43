"""Where the image's packages come from: what apt trusts, and what is said when there are none."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.install.scripts import script

if TYPE_CHECKING:
    from pathlib import Path

system: Any = script("image_system")
NAMES = tuple(system.WANTED)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small package that depends on others."""
    folder = tmp_path_factory.mktemp("package") / "small"
    (folder / "DEBIAN").mkdir(parents=True)
    (folder / "usr/share/doc/small").mkdir(parents=True)
    (folder / "usr/share/doc/small/copyright").write_text("Copyright: nobody\n")
    (folder / "DEBIAN/control").write_text(
        "Package: small\nVersion: 1.0\nArchitecture: all\nMaintainer: N <n@example.org>\n"
        "Description: small\n"
    )
    made = folder.with_name("small_1.0_all.deb")
    subprocess.run(["dpkg-deb", "-b", folder, made], check=True, capture_output=True)
    return made


def archive(folder: Path, package: Path) -> None:
    """An archive of the package, without a signature."""
    folder.mkdir()
    shutil.copy(package, folder)
    control = subprocess.run(
        ["dpkg-deb", "-f", package], check=True, capture_output=True, text=True
    ).stdout
    content = package.read_bytes()
    entry = f"{control.rstrip()}\nFilename: ./{package.name}\nSize: {len(content)}\n"
    entry += f"SHA256: {hashlib.sha256(content).hexdigest()}\n\n"
    (folder / "Packages").write_text(entry)
    digest = hashlib.sha256(entry.encode()).hexdigest()
    (folder / "Release").write_text(
        f"Date: Sat, 01 Jan 2022 00:00:00 UTC\nSHA256:\n {digest} {len(entry.encode())} Packages\n"
    )


def sources(folder: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have apt know this place alone, in this test."""
    (folder / "sources.list").write_text(line + "\n")
    (folder / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{folder}/sources.list";\nDir::Etc::sourceparts "-";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(folder / "apt.conf"))


def test_an_archive_without_signature_is_refused(
    tmp_path: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the configuration of this machine would take it."""
    archive(tmp_path / "archive", package)
    sources(tmp_path, f"deb file:{tmp_path}/archive ./", monkeypatch)
    with (tmp_path / "apt.conf").open("a") as file:
        file.write('Acquire::AllowInsecureRepositories "true";\n')
    apt = system.Apt(tmp_path / "apt", "amd64")
    with pytest.raises(system.MissingError, match="not signed"):
        apt.update()


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources(tmp_path, f"deb file:{tmp_path}/nowhere ./", monkeypatch)
    with pytest.raises(system.MissingError) as raised:
        system.fetched(tmp_path / "amd64", "x86_64")
    said = str(raised.value)
    assert f"{tmp_path}/nowhere" in said
    assert "--offline takes those that were fetched before" in said
    assert all(name in said for name in NAMES)
    with pytest.raises(system.MissingError) as raised:
        system.fetched(tmp_path / "amd64", "x86_64", offline=True)
    said = str(raised.value)
    assert all(name in said for name in NAMES)
    assert "leave out --offline once" in said


def test_offline_takes_what_was_fetched_whole(tmp_path: Path) -> None:
    (tmp_path / f"{system.PYTHON}.packages").write_text("fetched/a.deb\nfetched/b.deb\n")
    (tmp_path / "fetched").mkdir()
    (tmp_path / "fetched/a.deb").touch()
    with pytest.raises(system.MissingError, match="were not fetched"):
        system.fetched(tmp_path, "x86_64", offline=True)
    (tmp_path / "fetched/b.deb").touch()
    found = system.fetched(tmp_path, "x86_64", offline=True)
    assert [path.name for path in found] == ["a.deb", "b.deb"]


def test_other_machines_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        system.MissingError, match="no image for riscv64; there are x86_64, aarch64"
    ):
        system.system(tmp_path, "riscv64")


def test_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(system.MissingError, match=r"there is no apt-get: .* build it on Debian"):
        system.system(tmp_path / "root", "x86_64")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("a\n  Depends: b\n  PreDepends: c\n  Recommends: d\nb\n", {"a": {"b", "c"}, "b": set()}),
        ("a\n |Depends: b\n  Depends: c\n  Depends: d\n", {"a": {"b", "d"}}),
        ("a\n |Depends: b\n |Depends: c\n  Depends: d\n  Depends: e\n", {"a": {"b", "e"}}),
        (
            "a\n  Depends: <virtual>\n    real\n<virtual>\nb\n  Depends: c:any\n",
            {"a": {"virtual"}, "virtual": set(), "b": {"c"}},
        ),
    ],
)
def test_dependencies_as_apt_tells_them(said: str, wanted: dict[str, set[str]]) -> None:
    assert system._dependencies(said) == wanted


def test_what_is_idle_goes_and_licences_stay(tmp_path: Path) -> None:
    python = f"usr/lib/{system.PYTHON}"
    kept = [
        f"{python}/json/__init__.py",
        f"usr/bin/{system.PYTHON}",
        "usr/share/doc/libc6/copyright",
        "usr/share/zoneinfo/Europe/Paris",
    ]
    gone = [
        f"{python}/test/support/__init__.py",
        f"{python}/lib-dynload/readline.cpython-311-x86_64-linux-gnu.so",
        "usr/bin/ldd",
        "usr/share/doc/libc6/changelog.gz",
        "usr/share/zoneinfo/right/Europe/Paris",
        "sbin/ldconfig",
    ]
    for name in (*kept, *gone):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "usr/share/doc/libstdc++6").symlink_to("libc6")
    system._strip(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()}
    assert left == set(kept)
    assert str((tmp_path / "usr/share/doc/libstdc++6").readlink()) == "libc6"
    assert not (tmp_path / "sbin").exists()


def test_authorities_are_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "usr/share/ca-certificates/mozilla"
    with pytest.raises(system.MissingError, match="holds no certificates"):
        system._authorities(tmp_path)
    folder.mkdir(parents=True)
    for name, text in (("B.crt", "two"), ("A.crt", "one\n"), ("C.crt", "two")):
        (folder / name).write_text(text)
    system._authorities(tmp_path)
    assert (tmp_path / "etc/ssl/certs/ca-certificates.crt").read_text() == "one\ntwo\n"
    default = tmp_path / "usr/lib/ssl/cert.pem"
    assert str(default.readlink()) == "/etc/ssl/certs/ca-certificates.crt"
