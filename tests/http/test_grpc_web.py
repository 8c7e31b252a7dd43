from __future__ import annotations

import base64
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.grpc_web import Form, TextDecoder, TextEncoder, form_of, trailer_frame
from octelium.http.message import MessageError


def frame(content: bytes, flag: int = 0) -> bytes:
    return bytes([flag]) + len(content).to_bytes(4, "big") + content


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        (b"application/grpc-web", Form(False, b"")),
        (b"application/grpc-web+proto", Form(False, b"+proto")),
        (b"application/grpc-web-text", Form(True, b"")),
        (b"Application/gRPC-Web-Text+Proto; charset=utf-8", Form(True, b"+proto")),
        (b"application/grpc", None),
        (b"application/grpc-webby", None),
        (b"", None),
        (None, None),
    ],
)
def test_forms_by_media_type(media_type: bytes | None, expected: Form | None) -> None:
    assert form_of(media_type) == expected


def test_a_form_names_its_media_type_and_that_of_grpc() -> None:
    form = Form(True, b"+proto")
    assert form.media_type == b"application/grpc-web-text+proto"
    assert form.grpc == b"application/grpc+proto"
    assert form_of(form.media_type) == form


@given(st.lists(st.binary(max_size=40), max_size=5), st.lists(st.integers(0, 400)))
def test_text_is_decoded_wherever_it_is_cut_and_padded(
    frames: list[bytes], cuts: list[int]
) -> None:
    body = [frame(content) for content in frames]
    text = b"".join(map(base64.b64encode, body))
    decoder = TextDecoder()
    out = b"".join(decoder.decode(piece) for piece in pieces(text, cuts))
    decoder.close()
    assert out == b"".join(body)


@given(st.lists(st.binary(max_size=40), max_size=5), st.lists(st.integers(0, 400)))
def test_every_frame_is_complete_once_it_was_given(frames: list[bytes], cuts: list[int]) -> None:
    body = b"".join(map(frame, frames))
    encoder, decoder = TextEncoder(), TextDecoder()
    out = b""
    given_so_far = 0
    ends = [sum(map(len, map(frame, frames[: count + 1]))) for count in range(len(frames))]
    for piece in pieces(body, cuts):
        out += decoder.decode(encoder.encode(piece))
        given_so_far += len(piece)
        complete = max((end for end in ends if end <= given_so_far), default=0)
        assert len(out) >= complete
    out += decoder.decode(encoder.close())
    decoder.close()
    assert out == body


def test_a_body_that_ends_within_a_frame_is_given_as_far_as_it_goes() -> None:
    encoder = TextEncoder()
    text = encoder.encode(frame(b"0123456789")[:9]) + encoder.close()
    assert base64.b64decode(text) == frame(b"0123456789")[:9]


@pytest.mark.parametrize("text", [b"AA=A", b"====", b"A===", b"!!!!", b"AAA\xff", b"AAAA=AAA"])
def test_what_is_no_base64_is_refused(text: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        TextDecoder().decode(text)
    assert caught.value.status == 400


def test_a_body_that_ends_within_a_group_is_refused() -> None:
    decoder = TextDecoder()
    assert decoder.decode(b"AAAAAA") == b"\0\0\0"
    with pytest.raises(MessageError):
        decoder.close()


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_any_bytes_are_decoded_or_refused(data: bytes, cuts: list[int]) -> None:
    decoder = TextDecoder()
    try:
        for piece in pieces(data, cuts):
            decoder.decode(piece)
        decoder.close()
    except MessageError:
        return
    assert re.fullmatch(rb"[A-Za-z0-9+/=\r\n]*", data)


def test_trailers_are_a_frame_of_their_own() -> None:
    made = trailer_frame(((b"grpc-status", b"0"), (b"grpc-message", b"")))
    assert made == frame(b"grpc-status:0\r\ngrpc-message:\r\n", 0x80)
