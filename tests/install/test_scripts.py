"""The scripts themselves: cut anywhere they do nothing; mistakes in options are named."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.peers.programs import program

ROOT = Path(__file__).parents[2]
SCRIPTS = ("install.sh", "uninstall.sh")
SHELLS = {
    "dash": lambda: [program("dash", "dash")],
    "busybox": lambda: [program("busybox", "busybox"), "sh"],
}


def run(
    shell: str, script: Path, *options: str, path: str = os.defpath, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SHELLS[shell](), str(script), *options],
        env={"PATH": path, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def functions(
    shell: str, script: str, calls: str, folder: Path, **constants: Path
) -> subprocess.CompletedProcess[str]:
    """Run `calls` in a script that has not called main, with other values of its constants."""
    text = (ROOT / script).read_text().removesuffix('{ main "$@"; }\n')
    for name, value in constants.items():
        text, replaced = re.subn(rf"(readonly.*\b{name}=)\S+", rf"\g<1>{value}", text, count=1)
        assert replaced == 1, name
    changed = folder / f"functions-{script}"
    changed.write_text(f"{text}{calls}\n")
    return run(shell, changed)


def function(script: str, name: str) -> str:
    """The text of one function."""
    text = (ROOT / script).read_text()
    found = re.search(rf"^{name}\(\) \{{\n.*?^\}}\n", text, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return found[0]


def test_shellcheck() -> None:
    words = [program("shellcheck", "shellcheck"), "-s", "sh", *SCRIPTS]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == ""


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_cut_download_does_nothing(tmp_path: Path, shell: str, script: str) -> None:
    """Whatever a cut script calls is written down, and it is nothing."""
    text = (ROOT / script).read_bytes()
    assert text.endswith(b'\n{ main "$@"; }\n')
    called, programs = tmp_path / "called", tmp_path / "bin"
    programs.mkdir()
    for name in ("id", "tr", "grep", "mktemp", "systemctl", "cat", "sed", "rm", "mkdir", "date"):
        (programs / name).write_text(f"#!/bin/sh\necho {name} >>{called}\n")
        (programs / name).chmod(0o755)
    cut = tmp_path / "cut.sh"
    lengths = {*range(0, len(text), 499), *range(len(text) - 40, len(text) - 1)}
    for length in sorted(lengths):
        cut.write_bytes(text[:length])
        done = run(shell, cut, path=str(programs))
        assert done.stdout == "", length
        assert not called.exists(), (length, called.read_text())
    cut.write_bytes(text)
    run(shell, cut, path=str(programs))
    assert called.exists()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_help(shell: str, script: str) -> None:
    done = run(shell, ROOT / script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: sh ")
    assert "Examples:" in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--domain", "localhost"),
        ("--domain", "a..example"),
        ("--domain", 'a.example"\nlisten: ":1'),
        ("--domain", "$(id).example"),
        ("--listen", "443"),
        ("--listen", "host:443"),
        ("--admin", "An Admin"),
        ("--tunnel", "maybe"),
        ("--data-dir", "relative"),
        ("--data-dir", "/with space"),
        ("--data-dir", "/"),
        ("--timeout", "soon"),
        ("--skip-check", "everything"),
        ("--release", "../1"),
        ("--public-address", "here"),
    ],
)
def test_a_mistake_is_named(shell: str, option: str, value: str) -> None:
    done = run(shell, ROOT / "install.sh", option, value)
    assert (done.returncode, done.stdout) == (2, "")
    assert option in done.stderr
    assert "--help" in done.stderr
    variable = f"OCTELIUM_{option[2:].upper().replace('-', '_')}"
    assert run(shell, ROOT / "install.sh", **{variable: value}).returncode == 2


@pytest.mark.parametrize("options", [("--domian", "a.example"), ("domain",), ("--domain",)])
def test_an_option_that_is_none(options: tuple[str, ...]) -> None:
    done = run("dash", ROOT / "install.sh", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert options[0] in done.stderr
    assert run("dash", ROOT / "uninstall.sh", *options).returncode == 2


def upgrade(
    shell: str, folder: Path, installed: str, offered: tuple[str, ...], *options: str
) -> subprocess.CompletedProcess[str]:
    """What a dry run says where a version is installed and a place offers others."""
    place, temporary = folder / "release", folder / "temporary"
    for made in (place, temporary):
        made.mkdir(exist_ok=True)
    names = [f"octelium-{version}-py311-linux-x86_64.pyz" for version in offered]
    for name in (*names, "uninstall.sh"):
        (place / name).write_text(name)
    sums = [f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in names]
    sums.append(f"{hashlib.sha256(b'uninstall.sh').hexdigest()}  uninstall.sh\n")
    (place / "SHA256SUMS").write_text("".join(sums))
    calls = f"""
choices --from {place} {" ".join(options)}
settings_file={folder}/none temporary={temporary} minor=3.11 machine=x86_64
current={installed}-01234567 data_dir={folder}/data backups={folder}/backups
find_release
plan"""
    return functions(shell, "install.sh", calls, folder)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("installed", "offered"),
    [
        ("1.4.2", "0.9.0"),
        ("1.4.10", "1.4.9"),
        ("1.4.2", "1.4.2rc1"),
        ("1.4.2rc1", "1.4.2b3"),
        ("1.4.2a1", "1.4.2.dev7"),
        ("1.4.2.post1", "1.4.2"),
    ],
)
def test_an_older_release_must_be_asked_for(
    tmp_path: Path, shell: str, installed: str, offered: str
) -> None:
    """Signatures of old releases hold: a place that offers one again is refused."""
    done = upgrade(shell, tmp_path, installed, (offered,))
    assert done.returncode == 1
    assert "Would" not in done.stdout
    assert f"has nothing newer than {offered}, and {installed} is installed" in done.stderr
    assert f"--release {offered}" in done.stderr
    named = upgrade(shell, tmp_path, installed, (offered,), "--release", offered)
    assert (named.returncode, named.stderr) == (0, "")
    assert f"{offered} is older than {installed}" in named.stdout
    assert f"Would go back from {installed}-01234567 to {offered}-" in named.stdout
    back = upgrade(shell, tmp_path, offered, (offered, installed))
    assert (back.returncode, back.stderr) == (0, "")
    assert f"Would upgrade {offered}-01234567 to {installed}-" in back.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_another_file_of_the_same_version_is_no_older_one(tmp_path: Path, shell: str) -> None:
    done = upgrade(shell, tmp_path, "1.4.2", ("1.4.2",))
    assert done.returncode == 0
    assert "Would upgrade 1.4.2-01234567 to 1.4.2-" in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('data_dir: "/srv/x"', "/srv/x"),
        ('data_dir: "/srv/x"  # on the large disk', "/srv/x"),
        ("data_dir: '/srv/x' # on the large disk", "/srv/x"),
        ("data_dir: /srv/x # on the large disk  ", "/srv/x"),
        ("data_dir: /srv/x#y\r", "/srv/x#y"),
        ("data_dir:\t/srv/x  ", "/srv/x"),
        ("data_dir: # nothing", ""),
        ('data_dir: ""', ""),
        ("other_data_dir: /srv/x", ""),
    ],
)
def test_both_read_settings_alike(tmp_path: Path, shell: str, line: str, value: str) -> None:
    settings = tmp_path / "octelium.yaml"
    settings.write_text(f"domain: a.example\n{line}\n", newline="")
    for script in SCRIPTS:
        done = functions(shell, script, f"settings_file={settings}\nsetting data_dir", tmp_path)
        assert (done.returncode, done.stdout.strip("\n"), done.stderr) == (0, value, "")


@pytest.mark.parametrize("name", ["setting", "of_root_alone"])
def test_functions_of_both_are_the_same(name: str) -> None:
    assert function("install.sh", name) == function("uninstall.sh", name)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "settings", [None, "domain: a.example\n", "data_dir: [/srv/x]\n", "data_dir: srv\n"]
)
def test_what_is_removed_is_never_guessed(tmp_path: Path, shell: str, settings: str | None) -> None:
    folder, data = tmp_path / "etc", tmp_path / "data"
    for made in (folder, data):
        made.mkdir()
    if settings is not None:
        (folder / "octelium.yaml").write_text(settings)
    main = "id() { echo 0; }\nremove_program() { echo removed; }\nmain --purge"
    constants = {"SETTINGS": folder, "DATA": data, "CODE": tmp_path, "UNIT": tmp_path / "unit"}
    done = functions(shell, "uninstall.sh", main, tmp_path, **constants)
    assert (done.returncode, done.stdout) == (1, "")
    assert "--data-dir DIR" in done.stderr
    assert "Nothing was removed" in done.stderr
    assert data.is_dir()
    if settings is None or "data_dir" not in settings:
        named = f"purge='' data_dir={data}/\nfind_data\necho $data_dir"
        done = functions(shell, "uninstall.sh", named, tmp_path, **constants)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{data}\n", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_another_place_than_that_of_the_settings_is_refused(tmp_path: Path, shell: str) -> None:
    (tmp_path / "octelium.yaml").write_text('data_dir: "/srv/x"\n')
    calls = "data_dir=/srv/y\nfind_data"
    done = functions(shell, "uninstall.sh", calls, tmp_path, SETTINGS=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "has data_dir '/srv/x', and '/srv/y' is asked for" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("kind", ["folder", "file", "nowhere"])
def test_links_of_the_service_lead_root_nowhere(tmp_path: Path, shell: str, kind: str) -> None:
    """Whatever the data directory holds under the names that uninstall.sh writes and removes."""
    settings, data, others = tmp_path / "etc", tmp_path / "data", tmp_path / "others"
    for folder in (settings, data, others):
        folder.mkdir()
    (settings / "octelium.yaml").write_text("domain: a.example\n")
    (others / "file").write_text("theirs")
    target = {"folder": others, "file": others / "file", "nowhere": others / "new"}[kind]
    for name in ("octelium.yaml", "run", "lock", "store"):
        (data / name).symlink_to(target)
    calls = f'chown() {{ echo "chown $*"; }}\npurge=\ndata_dir={data}\nremove_or_keep_data'
    done = functions(shell, "uninstall.sh", calls, tmp_path, SETTINGS=settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in others.iterdir()] == ["file"]
    assert (others / "file").read_text() == "theirs"
    assert not (data / "octelium.yaml").is_symlink()
    assert (data / "octelium.yaml").read_text() == "domain: a.example\n"
    assert {path.name for path in data.iterdir()} == {"octelium.yaml", "store"}
    # Every owner is set on links themselves.
    assert f"chown -Rh root:root {data}\n" in done.stdout
    for script in SCRIPTS:
        assert "chown -R " not in (ROOT / script).read_text().replace(
            'chown -R root:root "$draft"', ""
        )


@pytest.mark.parametrize("shell", SHELLS)
def test_purge_removes_what_the_data_directory_leads_to(tmp_path: Path, shell: str) -> None:
    """The administrator's own link is followed, one within is not."""
    real, data, others = tmp_path / "real", tmp_path / "data", tmp_path / "others"
    for folder in (real, others):
        folder.mkdir()
    (others / "file").touch()
    (real / "store").symlink_to(others)
    data.symlink_to(real)
    calls = f"purge=1\ndata_dir={data}\nremove_or_keep_data"
    done = functions(shell, "uninstall.sh", calls, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not real.exists()
    assert not data.is_symlink()
    assert (others / "file").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_settings_beside_data_are_roots_or_none(tmp_path: Path, shell: str) -> None:
    """Only a file that nobody else can have written becomes the settings."""
    data, config = tmp_path / "data", tmp_path / "octelium.yaml"
    data.mkdir()
    kept = data / "octelium.yaml"
    calls = f"""
stat() {{ [ "$2" != '%u %h' ] || set -- -c '0 %h' "$3"
  [ "$2" != -c ] || {{ echo 0; return; }}
  command stat "$@"; }}
systemctl() {{ return 1; }}
choices --data-dir {data}
settle
echo $problems $domain"""
    kept.write_text("domain: a.example\ndata_dir: " + str(data) + "\n")
    done = functions(shell, "install.sh", calls, tmp_path, CONFIG=config)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 a.example\n", "")
    second = tmp_path / "second"
    second.hardlink_to(kept)
    for another in ("hard link", "link"):
        if another == "link":
            kept.unlink()
            kept.symlink_to(second)
        done = functions(shell, "install.sh", calls, tmp_path, CONFIG=config)
        assert done.stdout == "1\n"
        assert f"{kept} is not a file of root's" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_data_is_put_back_through_no_link(tmp_path: Path, shell: str) -> None:
    """Taking an upgrade back writes into the data directory, where the service may write too."""
    code, data, others, backup = (tmp_path / name for name in ("code", "data", "others", "backup"))
    for folder in (code / "1.0-01234567", data, others, backup / "data/store"):
        folder.mkdir(parents=True)
    (backup / "data/store/store.db").write_text("before")
    (backup / "data/ca.pem").write_text("before")
    (backup / "octelium.service").write_text("[Unit]\n")
    (others / "file").write_text("theirs")
    (data / "ca.pem").symlink_to(others / "file")
    (code / "upgrading").write_text(f"former=1.0-01234567\nbackup={backup}\n")
    # As if it appeared after all was moved away.
    calls = f"""
systemctl() {{ :; }}
mv() {{
  command mv "$@"
  case $* in *refused*) ln -s {others}/file {data}/ca.pem ;; esac
}}
start() {{ :; }}
data_dir={data} timeout=60
take_back"""
    done = functions(shell, "install.sh", calls, tmp_path, CODE=code, UNIT=tmp_path / "unit")
    assert (done.returncode, done.stderr) == (0, "")
    assert (others / "file").read_text() == "theirs"
    assert (data / "ca.pem").read_text() == "before"
    assert not (data / "ca.pem").is_symlink()
    assert (data / "store/store.db").read_text() == "before"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_hard_link_in_data_is_not_given_away(tmp_path: Path, shell: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "one").write_text("")
    calls = f"skip_check= data_dir={data}\nlook_at_data\necho $problems"
    assert functions(shell, "install.sh", calls, tmp_path).stdout == "0\n"
    (data / "two").hardlink_to(data / "one")
    done = functions(shell, "install.sh", calls, tmp_path)
    assert done.stdout == "1\n"
    assert "has another name too" in done.stderr
