from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.functions.encoders import decode, encode
from octelium.policy.cel.program import new_frame
from tests.policy.cel.evaluation import failure, value


@given(st.binary(max_size=50))
def test_bytes_survive(data: bytes) -> None:
    frame = new_frame({})
    text = encode(frame, data)
    assert decode(frame, text) == data
    assert decode(frame, text.rstrip("=")) == data


def test_in_an_expression() -> None:
    assert value("base64.decode(base64.encode(b'hi')) == b'hi'") is True


@pytest.mark.parametrize(
    "text",
    [
        "base64.decode('a')",
        "base64.decode('a b=')",
        "base64.decode('é')",
        "base64.decode('YQ=')",
        "base64.decode('_-8=')",
        "base64.encode(dyn('a'))",
        "base64.decode(dyn(b'a'))",
    ],
)
def test_errors(text: str) -> None:
    assert failure(text)
