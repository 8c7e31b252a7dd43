from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Modules that cost more than a list of commands is worth.
HEAVY = ("grpc", "google.protobuf", "cryptography", "yaml", "ruamel", "rich", "asyncio", "uvicorn",
         "starlette", "sqlite3", "ssl", "importlib.metadata", "octelium.schema.pb")  # fmt: skip


def started_as(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a link of that name to the package's entry, and list what it loaded."""
    code = (
        "import sys; sys.argv = sys.argv[1:]; from octelium.__main__ import main\n"
        "import atexit, json\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        "main()"
    )
    command = [sys.executable, "-c", code, name, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def loaded(done: subprocess.CompletedProcess[str]) -> set[str]:
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("octelium", "octelium"),
        ("octelium.pyz", "octelium"),
        ("octelium-0.1.0-py311-linux-x86_64.pyz", "octelium"),
        ("/usr/local/bin/octeliumctl", "octeliumctl"),
        ("./octops", "octops"),
        ("__main__.py", "octelium"),
    ],
)
def test_the_name_chooses_the_program(name: str, expected: str) -> None:
    done = started_as(name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: {expected} [OPTIONS] COMMAND")


@pytest.mark.parametrize("name", ["octelium", "octeliumctl", "octops"])
def test_help_loads_next_to_nothing(name: str) -> None:
    modules = loaded(started_as(name, "--help"))
    assert not {m for m in modules if m in HEAVY or m.startswith(tuple(f"{h}." for h in HEAVY))}
    assert "click" not in modules
    assert {m for m in modules if m.startswith("octelium")} == {
        "octelium",
        "octelium.__main__",
        "octelium.cli",
        "octelium.cli.entry",
        "octelium.cli.menu",
    }


def test_help_of_a_command_loads_no_others() -> None:
    modules = loaded(started_as("octeliumctl", "apply", "--help"))
    assert "octelium.cli.apply" in modules
    assert not {"octelium.cli.edit", "octelium.cli.logs", "grpc", "yaml", "cryptography"} & modules
    assert "google.protobuf" not in modules


def test_the_exit_code_is_the_process_s() -> None:
    assert started_as("octeliumctl", "no-such-command").returncode == 2
    assert started_as("octelium", "version").returncode == 0


def test_a_link_in_the_file_system(tmp_path: Path) -> None:
    link = tmp_path / "octops"
    link.symlink_to(ROOT / "octelium" / "__main__.py")
    done = subprocess.run(
        [sys.executable, str(link), "--help"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert done.stdout.startswith("Usage: octops")
