from __future__ import annotations

import struct
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.gateway.memory import Memory, Remembered
from tests.gateway.world import key

HERE = Remembered(("203.0.113.7", 51820), b"t" * 12, "192.0.2.1")
THERE = Remembered(("2001:db8::7", 1), b"", "2001:db8::1")
NOWHERE = Remembered(None, b"u" * 12)


def again(memory: Memory, path: Path) -> Memory:
    """The next process' view of the file."""
    memory.close()
    return Memory(path)


def test_what_is_put_is_there_for_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "peers"
    memory = Memory(path)
    for number, remembered in enumerate((HERE, THERE, NOWHERE), 1):
        memory.put(key(number), remembered)
    memory = again(memory, path)
    assert [memory.get(key(number)) for number in (1, 2, 3, 4)] == [HERE, THERE, NOWHERE, None]
    assert path.stat().st_mode & 0o777 == 0o600
    memory.close()


def test_a_file_of_a_release_without_own_addresses_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "peers"
    body = struct.pack(
        "<32s12s16sHBx", key(1), b"t" * 12, bytes([203, 0, 113, 7]).ljust(16, b"\0"), 51820, 4
    )
    record = body + struct.pack("<I", zlib.crc32(body))
    damaged = b"x" + record[1:]
    path.write_bytes(b"octelium peers 1".ljust(len(record), b"\n") + damaged + record)
    memory = Memory(path)
    assert len(memory) == 1
    expected = Remembered(("203.0.113.7", 51820), b"t" * 12)
    assert memory.get(key(1)) == expected
    memory = again(memory, path)
    assert memory.get(key(1)) == expected
    memory.close()


def test_a_process_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    killed = Memory(tmp_path / "peers")
    killed.put(key(1), HERE)
    after = Memory(tmp_path / "peers")
    assert after.get(key(1)) == HERE
    killed.close()
    after.close()


def test_records_are_written_in_place_and_used_again(tmp_path: Path) -> None:
    path = tmp_path / "peers"
    memory = Memory(path)
    for number in range(1, 9):
        memory.put(key(number), HERE)
    size = path.stat().st_size
    memory.put(key(1), THERE)
    memory.keep_only([key(1)])
    for number in range(11, 18):
        memory.put(key(number), NOWHERE)
    assert path.stat().st_size == size
    memory = again(memory, path)
    assert len(memory) == 8
    assert (memory.get(key(1)), memory.get(key(2))) == (THERE, None)
    memory.keep_only([])
    memory = again(memory, path)
    assert len(memory) == 0
    memory.put(key(1), HERE)
    assert path.stat().st_size == size
    memory.close()


def test_a_file_that_is_something_else_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "peers"
    path.write_bytes(b"something else" * 100)
    memory = Memory(path)
    assert len(memory) == 0
    memory.put(key(1), HERE)
    memory = again(memory, path)
    assert memory.get(key(1)) == HERE
    memory.close()


def test_a_file_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Is a directory"):
        Memory(tmp_path)


@given(st.data())
def test_damage_costs_the_records_that_it_hits_and_no_other(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "peers"
        memory = Memory(path)
        for number in range(1, 5):
            memory.put(key(number), HERE)
        memory.close()
        written = bytearray(path.read_bytes())
        size = len(written) // 5
        at = data.draw(st.integers(size, len(written) - 1))
        written[at] ^= data.draw(st.integers(1, 255))
        path.write_bytes(written[: data.draw(st.integers(size, len(written)))])
        memory = Memory(path)
        whole = path.stat().st_size // size - 1
        hit = at // size
        for number in range(1, 5):
            expected = HERE if number <= whole and number != hit else None
            assert memory.get(key(number)) == expected
        memory.close()


def test_a_full_disk_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    memory = Memory(tmp_path / "peers")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    memory.put(key(1), HERE)
    memory.put(key(2), HERE)
    assert memory.get(key(2)) == HERE
    assert [record.message for record in caplog.records if "No space" in record.message] == [
        f"{tmp_path / 'peers'} cannot be written: [Errno 28] No space left on device"
    ]
    memory.close()
