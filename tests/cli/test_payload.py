from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import click
import pytest

from octelium.cli.payload import fill_secret, read_text, read_value
from octelium.cli.sources import UnreadableError
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from pathlib import Path


def stdin(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content))


def test_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "value").write_bytes(b"\x00from a file\n")
    monkeypatch.setattr(sys, "stdin", stdin(b"from stdin\n"))
    assert read_value("größe", None, "") == "größe".encode()
    assert read_value(None, str(tmp_path / "value"), "") == b"\x00from a file\n"
    assert read_value(None, "-", "") == b"from stdin\n"


def test_both_or_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", stdin(b""))
    with pytest.raises(click.UsageError, match="either"):
        read_value("a", "b", "")
    with pytest.raises(click.UsageError, match="--value TEXT"):
        read_value(None, None, "")


def test_a_person_is_asked_twice_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    def prompt(_text: str, **options: object) -> str:
        asked.append(options)
        return "typed"

    monkeypatch.setattr(sys, "stdin", Tty())
    monkeypatch.setattr(click, "prompt", prompt)
    assert read_value(None, None, "Value") == b"typed"
    assert asked == [{"hide_input": True, "confirmation_prompt": True, "err": True}]


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(UnreadableError, match="No such file"):
        read_value(None, str(tmp_path / "none"), "")
    with pytest.raises(UnreadableError, match="not a PEM file"):
        read_text(str(tmp_path / "binary"))


def test_a_certificate_and_its_key(tmp_path: Path) -> None:
    for name in ("chain", "key"):
        (tmp_path / name).write_text(name.upper())
    secret = core.Secret()
    chain, key = str(tmp_path / "chain"), str(tmp_path / "key")
    fill_secret(secret, None, None, "cert", chain, key)
    assert (secret.spec.data.value, secret.data.value) == ("CHAIN", "KEY")
    for arguments in (("cert", chain, None), ("value", chain, key), ("cert", None, None)):
        with pytest.raises(click.UsageError):
            fill_secret(core.Secret(), "v" if arguments[0] == "value" else None, None, *arguments)
