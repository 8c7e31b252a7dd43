from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import second_try

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["pytester"]

FIRST = """
import pathlib, pytest
def once(name, place=pathlib.Path(__file__).parent):
    came = place / name
    if not came.exists():
        came.touch()
        raise AssertionError(f"the first time of {name}")
"""
MARK = '@pytest.mark.real_time("a reason")\n'


@pytest.fixture
def folder(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Path:
    """Where tests are, with the plugin alone."""
    root = request.config.rootpath
    monkeypatch.setenv("PYTHONPATH", str(root))
    monkeypatch.setenv("PYTEST_ADDOPTS", "")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", second_try._WITHIN):
        monkeypatch.delenv(name, raising=False)
    pytester.makeini("[pytest]\naddopts = --strict-markers -p tests.second_try\n")
    made = pytester.path / "tests/e2e"
    made.mkdir(parents=True)
    return made


def ran(pytester: pytest.Pytester, *words: str) -> tuple[int, str]:
    """The exit code and what was printed."""
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", *words)
    return int(done.ret), done.stdout.str() + done.stderr.str()


@pytest.mark.parametrize(
    "words", [(), ("-p", "xdist.plugin", "-n", "2")], ids=["one process", "several"]
)
def test_what_passes_alone_is_told_of(
    pytester: pytest.Pytester, folder: Path, words: tuple[str, ...]
) -> None:
    text = f"{FIRST}\ndef test_good(): pass\n{MARK}def test_slow(): once('slow')\n"
    (folder / "test_a.py").write_text(text)
    code, told = ran(pytester, *words)
    assert code == pytest.ExitCode.OK
    assert "1 passed, 1 second try" in told
    assert "tests/e2e/test_a.py::test_slow (a reason)" in told
    assert "AssertionError: the first time of slow" in told
    assert "FAILED" not in told


def test_what_fails_again_fails(pytester: pytest.Pytester, folder: Path) -> None:
    (folder / "test_a.py").write_text(f"import pytest\n{MARK}def test_slow(): assert 1 == 2\n")
    code, told = ran(pytester)
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "test_slow failed at the second try, too" in told
    assert "1 failed" in told


def test_a_fixture_that_is_late(pytester: pytest.Pytester, folder: Path) -> None:
    fixture = "@pytest.fixture\ndef server(): once('server')\n"
    text = f"{FIRST}\n{fixture}{MARK}def test_slow(server): pass\n"
    (folder / "test_a.py").write_text(text)
    code, told = ran(pytester)
    assert (code, "1 second try" in told) == (pytest.ExitCode.OK, True)


STEADY = """
import pathlib
def test_often(place=pathlib.Path(__file__).parent):
    came = len([*place.glob("came-*")])
    (place / f"came-{came}").touch()
    assert came not in {failing}
"""


@pytest.mark.parametrize(
    ("room", "failing", "runs", "code"),
    [
        ("client", {0}, 1 + second_try.TIMES, 0),
        ("client", {0, 1}, 2, 1),
        ("client", {0, second_try.TIMES}, 1 + second_try.TIMES, 1),
        ("security", {0}, 1, 1),
        ("policy", {0}, 1, 1),
    ],
)
def test_what_has_no_mark_passes_several_times_or_fails(
    pytester: pytest.Pytester, folder: Path, room: str, failing: set[int], runs: int, code: int
) -> None:
    place = folder.parent / room
    place.mkdir()
    (place / "test_a.py").write_text(STEADY.replace("{failing}", repr(failing)))
    done, told = ran(pytester)
    assert done == code
    assert len([*place.glob("came-*")]) == runs
    assert ("1 second try" in told, "no test of time" in told) == (not code, not code)


@pytest.mark.parametrize("room", second_try.ONE_TRY)
def test_rooms_are_those_that_there_are(request: pytest.FixtureRequest, room: str) -> None:
    assert (request.config.rootpath / "tests" / room).is_dir()


@pytest.mark.parametrize(
    "others",
    [
        "def test_b(): once('b')\ndef test_c(): once('c')",
        f"{MARK}def test_b(): once('b')\n{MARK}def test_c(): once('c')",
        f"@pytest.fixture\ndef end():\n    yield\n    once('end')\n{MARK}def test_bad(end): pass",
    ],
    ids=["others fail", "too many", "what is taken down"],
)
def test_nothing_is_tried_again_where(pytester: pytest.Pytester, folder: Path, others: str) -> None:
    text = f"{FIRST}\n{MARK}def test_slow(): once('slow')\n{others}\n"
    (folder / "test_a.py").write_text(text)
    code, told = ran(pytester)
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "second try" not in told
    assert "FAILED tests/e2e/test_a.py::test_slow" in told


@pytest.mark.parametrize(
    ("room", "mark", "why"),
    [
        ("policy", MARK, "is for tests of e2e"),
        ("e2e", "@pytest.mark.real_time\n", 'write real_time("why")'),
        ("e2e", "@pytest.mark.real_time('')\n", 'write real_time("why")'),
    ],
)
def test_the_mark_has_a_place_and_a_reason(
    pytester: pytest.Pytester, folder: Path, room: str, mark: str, why: str
) -> None:
    place = folder.parent / room
    place.mkdir(exist_ok=True)
    (place / "test_a.py").write_text(f"import pytest\n{mark}def test_slow(): pass\n")
    code, told = ran(pytester)
    assert code != pytest.ExitCode.OK
    assert why in told
