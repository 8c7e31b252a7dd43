from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import codes, resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


def secret(value: str, **parts: object) -> core.Secret:
    made: core.Secret = resource("Secret", "key", data={"value": value}, **parts)
    return made


async def test_data_goes_in_and_never_comes_out(api: Harness) -> None:
    spec = {"data": {"value": "a certificate"}}
    made = await api.core("CreateSecret", secret("hunter2", spec=spec))
    got = await api.core("GetSecret", meta.GetOptions(name="key"))
    listed = await api.core("ListSecret")
    updated = await api.core("UpdateSecret", secret("hunter3", spec=spec))
    for reply in (made, got, updated, *listed.items):
        assert not reply.HasField("data")
    for reply in (made, got, updated):
        assert reply.spec.data.value == "a certificate"
    assert api.resources.get(core.Secret, name="key").data.value == "hunter3"
    await api.core("DeleteSecret", meta.DeleteOptions(name="key"))
    assert api.resources.find(core.Secret, name="key") is None


async def test_data_is_needed_every_time(api: Harness) -> None:
    empty = resource("Secret", "key")
    assert codes(await api.refused("CreateSecret", empty))[0] == "INVALID_ARGUMENT"
    await api.core("CreateSecret", secret("hunter2"))
    error = await api.refused("UpdateSecret", empty)
    assert codes(error)[0] == "INVALID_ARGUMENT"
    assert "data" in codes(error)[1]


async def test_the_clusters_own_are_out_of_reach(api: Harness) -> None:
    own = api.resources.get(core.Secret, name="sys:root-secret-aaaaaaaa")
    for options in (
        meta.GetOptions(name=own.metadata.name),
        meta.GetOptions(uid=own.metadata.uid),
        meta.GetOptions(name="sys:no-such"),
    ):
        assert codes(await api.refused("GetSecret", options))[0] == "PERMISSION_DENIED"
    deletion = meta.DeleteOptions(uid=own.metadata.uid)
    assert codes(await api.refused("DeleteSecret", deletion))[0] == "PERMISSION_DENIED"
    listed = await api.core("ListSecret")
    assert len(listed.items) == listed.list_response_meta.total_count == 0
    forged = resource("Secret", "sys:mine", data={"value": "x"})
    assert codes(await api.refused("CreateSecret", forged))[0] == "INVALID_ARGUMENT"


async def test_data_is_limited_in_bytes(api: Harness) -> None:
    await api.core("CreateSecret", secret("é" * (256 << 10)))
    error = await api.refused("UpdateSecret", secret("é" * (256 << 10) + "x"))
    assert codes(error)[0] == "INVALID_ARGUMENT"
    assert codes(error)[1].startswith("data")
    for value in ("-----BEGIN PRIVATE KEY-----\n\n", "\x00\x01"):
        await api.core("UpdateSecret", secret(value))


async def test_nobody_makes_a_certificate_of_the_cluster(api: Harness) -> None:
    """Its names would win over those of the certificate that is there."""
    own = resource("Secret", "crt-ns-default", data={"value": "key"})
    own.metadata.is_system = own.metadata.is_system_hidden = True
    await api.store(own)
    for name in ("crt-ns-zz", "crt-ns-default"):
        forged = resource("Secret", name, data={"value": "x"})
        for error in (await api.refused("CreateSecret", forged), await api.apply_refused(forged)):
            assert codes(error)[0] == "INVALID_ARGUMENT"
            assert "`octops cert`" in codes(error)[1]
    deletion = meta.DeleteOptions(name="crt-ns-default")
    for method, request in (("UpdateSecret", forged), ("DeleteSecret", deletion)):
        assert codes(await api.refused(method, request))[0] == "PERMISSION_DENIED"
