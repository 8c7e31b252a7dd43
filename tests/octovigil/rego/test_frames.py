from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.octovigil.rego import frames
from octelium.octovigil.rego.frames import (
    Answer,
    FrameError,
    Question,
    Reader,
    pack,
    read_answer,
    read_question,
)

QUESTIONS = st.builds(
    Question,
    st.text(),
    st.text(),
    st.text(),
    st.binary(),
    st.none() | st.integers(-(1 << 63), (1 << 63) - 1),
)
ANSWERS = st.builds(Answer, st.binary(), st.text(), st.booleans())


@given(st.lists(QUESTIONS | ANSWERS, max_size=5), st.lists(st.integers(1, 40), min_size=1))
def test_messages_arrive_however_they_are_cut(
    messages: list[Question | Answer], sizes: list[int]
) -> None:
    data = b"".join(map(pack, messages))
    reader, found, at, turn = Reader(), [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        reader.feed(data[at : at + size])
        at, turn = at + size, turn + 1
        while (payload := reader.frame()) is not None:
            found.append(payload)
    assert len(found) == len(messages)
    for payload, message in zip(found, messages, strict=True):
        read = read_question if isinstance(message, Question) else read_answer
        assert read(payload) == message


@given(st.binary(max_size=200))
def test_nonsense_is_refused(data: bytes) -> None:
    for read in (read_question, read_answer):
        try:
            read(data)
        except FrameError:
            continue
    reader = Reader()
    reader.feed(data)
    try:
        while reader.frame() is not None:
            pass
    except FrameError:
        assert int.from_bytes(data[:4]) > frames.MAX_FRAME or len(data) > 4


def test_long_frames_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader()
    reader.feed(b"\xff\xff\xff\xff")
    with pytest.raises(FrameError, match="claims"):
        reader.frame()
    monkeypatch.setattr(frames, "MAX_FRAME", 10)
    with pytest.raises(FrameError, match="bytes"):
        pack(Answer(b"x" * 11))


def test_messages_are_told_apart() -> None:
    payload = pack(Question("text", "package", "rule", b"{}"))[4:]
    with pytest.raises(FrameError, match="this is no answer"):
        read_answer(payload)
    with pytest.raises(FrameError, match="this is no question"):
        read_question(pack(Answer(b"1"))[4:])
