from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.store.errors import StoreUnusable
from octelium.store.vault import KEY_FILE, VARIABLE, Vault, key_id

if TYPE_CHECKING:
    from pathlib import Path

KEY = b"k" * 32
OTHER = b"o" * 32


def encoded(*keys: bytes) -> str:
    return ",".join(base64.b64encode(key).decode() for key in keys)


@given(st.binary(max_size=100))
def test_what_is_sealed_opens_for_the_same_row_only(plain: bytes) -> None:
    vault = Vault([KEY])
    sealed = vault.seal("Secret", "u1", plain)
    assert vault.open("Secret", "u1", sealed) == plain
    for kind, uid in (("Secret", "u2"), ("Config", "u1"), ("Secre", "tu1")):
        with pytest.raises(StoreUnusable, match="altered"):
            vault.open(kind, uid, sealed)


def test_equal_data_never_looks_equal() -> None:
    vault = Vault([KEY])
    sealed = {vault.seal("Secret", "u", b"hunter2") for _ in range(100)}
    assert len(sealed) == 100
    assert not any(b"hunter2" in one for one in sealed)


@given(st.data())
def test_every_altered_byte_is_noticed(data: st.DataObject) -> None:
    vault = Vault([KEY])
    sealed = bytearray(vault.seal("Secret", "u", b"hunter2"))
    index = data.draw(st.integers(0, len(sealed) - 1))
    sealed[index] ^= data.draw(st.integers(1, 255))
    with pytest.raises(StoreUnusable):
        vault.open("Secret", "u", bytes(sealed))


@given(st.binary(max_size=60))
def test_bytes_that_were_never_sealed_do_not_open(junk: bytes) -> None:
    with pytest.raises(StoreUnusable):
        Vault([KEY]).open("Secret", "u", junk)


def test_truncated_bytes_do_not_open() -> None:
    vault = Vault([KEY])
    sealed = vault.seal("Secret", "u", b"x")
    for length in range(len(sealed)):
        with pytest.raises(StoreUnusable):
            vault.open("Secret", "u", sealed[:length])


def test_the_key_is_named_in_what_it_sealed_and_the_error_says_what_to_do() -> None:
    sealed = Vault([KEY]).seal("Secret", "u", b"x")
    assert sealed[1:9] == key_id(KEY)
    with pytest.raises(StoreUnusable, match=f"another key: restore {KEY_FILE} or set {VARIABLE}"):
        Vault([OTHER]).open("Secret", "u", sealed)


def test_the_first_key_seals_and_all_open() -> None:
    old = Vault([OTHER]).seal("Secret", "u", b"x")
    both = Vault([KEY, OTHER])
    assert both.open("Secret", "u", old) == b"x"
    assert both.seal("Secret", "u", b"x")[1:9] == key_id(KEY)


@pytest.mark.parametrize("keys", [[], [b"short"], [KEY, b"x" * 33]])
def test_a_key_of_another_length_is_refused(keys: list[bytes]) -> None:
    with pytest.raises(StoreUnusable, match="32 bytes"):
        Vault(keys)


def test_the_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    first = Vault.load(tmp_path / "data", {}, create=True)
    path = tmp_path / "data" / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    content = path.read_text()
    again = Vault.load(tmp_path / "data", {}, create=True)
    assert path.read_text() == content
    assert again.open("Secret", "u", first.seal("Secret", "u", b"x")) == b"x"
    assert list((tmp_path / "data").iterdir()) == [path]


def test_a_missing_key_file_is_an_error_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match=f"{KEY_FILE} is missing.*{VARIABLE}"):
        Vault.load(tmp_path, {}, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Vault.load(tmp_path, {}, create=True)
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(StoreUnusable, match="chmod 600"):
        Vault.load(tmp_path, {}, create=False)


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    vault = Vault.load(tmp_path, {VARIABLE: encoded(KEY, OTHER)}, create=True)
    assert list(tmp_path.iterdir()) == []
    assert vault.seal("Secret", "u", b"x")[1:9] == key_id(KEY)
    assert vault.open("Secret", "u", Vault([OTHER]).seal("Secret", "u", b"x")) == b"x"


@pytest.mark.parametrize("text", ["not base64!", encoded(b"short"), "é", ","])
def test_keys_that_are_none_are_refused_by_name_of_their_source(tmp_path: Path, text: str) -> None:
    path = tmp_path / KEY_FILE
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(StoreUnusable, match=KEY_FILE):
        Vault.load(tmp_path, {}, create=False)
    if text != ",":
        with pytest.raises(StoreUnusable, match=VARIABLE):
            Vault.load(tmp_path, {VARIABLE: text}, create=False)


def test_no_key_is_told_in_an_error(tmp_path: Path) -> None:
    key = encoded(b"short-but-secret")
    with pytest.raises(StoreUnusable) as caught:
        Vault.load(tmp_path, {VARIABLE: key}, create=False)
    assert key not in str(caught.value)
