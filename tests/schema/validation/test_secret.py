from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.secret import MAX_BYTES, value_of

if TYPE_CHECKING:
    from tests.schema.validation.world import World


def secret(data: str, spec: str = "{}") -> str:
    return f"kind: Secret\nmetadata: {{name: pass}}\nspec: {spec}\n{data}\n"


def test_secrets(world: World) -> None:
    world.apply(secret("data: {value: x}"))
    world.apply(secret("data: {valueBytes: AAE=}", spec="{data: {value: chain}}"))
    world.apply(secret(f"data: {{value: {'x' * MAX_BYTES}}}"))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (secret(""), "data"),
        (secret("data: {}"), "data"),
        (secret("data: {value: ''}"), "data"),
        (secret(f"data: {{value: {'x' * (MAX_BYTES + 1)}}}"), "data"),
        (secret("data: {value: x}", spec="{data: {}}"), "spec.data"),
        (secret("data: {value: x}", spec=f"{{data: {{value: {'x' * (MAX_BYTES + 1)}}}}}"),
         "spec.data"),
    ],
    ids=range(6),
)  # fmt: skip
def test_bad_secrets(world: World, text: str, path: str) -> None:
    assert world.refusal(text).path == path


def test_an_update_brings_the_data_again(world: World) -> None:
    world.apply(secret("data: {value: x}"))
    assert world.refusal(secret("")).path == "data"


def test_no_error_quotes_a_secret(world: World) -> None:
    value = "hunter2" * 100_000
    assert "hunter2" not in str(world.refusal(secret(f"data: {{value: {value}}}")))


def test_either_form_is_a_value() -> None:
    assert value_of(core.SecretData(value="é")) == "é".encode()
    assert value_of(core.SecretData(value_bytes=b"\xff")) == b"\xff"
    assert value_of(core.SecretSpecData()) == b""
