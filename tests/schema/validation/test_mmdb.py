from __future__ import annotations

import gzip
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation import mmdb
from octelium.schema.validation.mmdb import database_of
from tests.schema.validation.world import World

DATABASE = b"tree and data" + b"\xab\xcd\xefMaxMind.com" + b"metadata"


def config(data: bytes) -> core.Config:
    return core.Config(data=core.ConfigData(value_bytes=data))


def test_plain_or_packed() -> None:
    assert database_of(config(DATABASE)) == DATABASE
    assert database_of(config(gzip.compress(DATABASE, mtime=0))) == DATABASE


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"text", "no database"),
        (DATABASE + bytes(128 << 10), "no database"),
        (gzip.compress(b"text", mtime=0), "no database"),
        (gzip.compress(DATABASE, mtime=0)[:-9], "cut short"),
        (b"\x1f\x8bnothing", "no intact gzip"),
    ],
)
def test_what_is_none(data: bytes, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        database_of(config(data))
    with pytest.raises(Invalid, match="valueBytes"):
        database_of(core.Config(data=core.ConfigData(value="text")))


def test_what_is_packed_too_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmdb, "LARGEST", 1000)
    with pytest.raises(Invalid, match="larger"):
        database_of(config(gzip.compress(bytes(10_000) + DATABASE, mtime=0)))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_database_or_refused(data: bytes) -> None:
    for form in (data, b"\x1f\x8b" + data, gzip.compress(data, mtime=0)):
        try:
            found = database_of(config(form))
        except Invalid:
            continue
        assert b"MaxMind.com" in found


def test_the_cluster_takes_no_other_config_and_keeps_it_so() -> None:
    world = World()
    world.apply("{kind: Config, metadata: {name: other}, spec: {}, data: {value: x}}")
    settings = "{authentication: {geolocation: {mmdb: {fromConfig: %s}}}}"
    text = "{kind: ClusterConfig, metadata: {}, spec: %s}"
    with pytest.raises(Invalid, match=r"mmdb\.fromConfig: the Config 'other' cannot be used"):
        world.apply(text % (settings % "other"))
    world.apply(text % (settings % "geo"))
    replaced = textwrap.dedent("{kind: Config, metadata: {name: geo}, spec: {}, data: {value: x}}")
    (changed,) = world.read(replaced)
    with pytest.raises(Invalid, match="holds no database"):
        world.validate(changed, world.get("Config", "geo"))
