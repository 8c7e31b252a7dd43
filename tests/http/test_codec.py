from __future__ import annotations

from octelium.http.codec import CodecHost


class Told:
    """A codec that remembers what it was told."""

    def __init__(self, *, half_open: bool = False) -> None:
        self.told: list[str] = []
        self.half_open = half_open

    def connection_made(self, transport: object) -> None:
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.told.append("data")

    def eof_received(self) -> bool:
        self.told.append("eof")
        return self.half_open

    def connection_lost(self, error: Exception | None) -> None:
        self.told.append("lost")

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


class Host(CodecHost):
    def choose(self, codec: Told) -> None:
        self._codec = codec


def test_a_host_without_a_codec_keeps_nothing_open() -> None:
    host = Host()
    host.pause_writing()
    host.resume_writing()
    assert host.eof_received() is False


def test_a_codec_hears_what_its_host_hears() -> None:
    for half_open in (False, True):
        host, codec = Host(), Told(half_open=half_open)
        host.choose(codec)
        host.pause_writing()
        host.resume_writing()
        assert host.eof_received() is half_open
        assert codec.told == ["pause", "resume", "eof"]


def test_each_host_has_its_own_codec() -> None:
    one, other, codec = Host(), Host(), Told()
    one.choose(codec)
    other.pause_writing()
    assert codec.told == []
