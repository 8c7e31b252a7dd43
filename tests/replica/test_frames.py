from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.replica import frames
from octelium.replica.errors import FeedError
from octelium.replica.frames import FrameReader, FrameType, frame, parsed
from octelium.schema.pb import feed_v1_pb2 as feed

FRAMES = st.lists(st.tuples(st.sampled_from(FrameType), st.binary(max_size=50)), max_size=6)


@given(FRAMES, st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_frames_come_out_as_they_went_in_however_they_are_cut(
    sent: list[tuple[FrameType, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(frame(*one) for one in sent)
    reader, received, position = FrameReader(), [], 0
    while position < len(stream):
        size = cuts[position % len(cuts)]
        received += list(reader.feed(stream[position : position + size]))
        position += size
    assert received == sent
    assert not reader._buffer


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_refused(junk: bytes) -> None:
    reader = FrameReader()
    try:
        received = list(reader.feed(junk))
    except FeedError:
        return
    rest = bytes(reader._buffer)
    assert b"".join(frame(*one) for one in received) + rest == junk


@pytest.mark.parametrize("head", [b"\0\0\0\1\x09", b"\0\0\0\1\0", b"\xff\xff\xff\xff\1"])
def test_an_unknown_type_or_an_oversized_frame_is_refused_by_its_head(head: bytes) -> None:
    with pytest.raises(FeedError):
        list(FrameReader().feed(head))


def test_too_much_fits_no_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "LARGEST", 10)
    assert len(frame(FrameType.BATCH, b"x" * 10)) == 15
    with pytest.raises(FeedError, match="11 bytes is larger than 10"):
        frame(FrameType.BATCH, b"x" * 11)


@given(st.binary(max_size=100))
def test_what_is_in_a_frame_is_a_message_or_refused(junk: bytes) -> None:
    try:
        assert isinstance(parsed(feed.Commit, junk), feed.Commit)
    except FeedError:
        assert junk
