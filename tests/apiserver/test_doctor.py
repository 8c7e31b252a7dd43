from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from octelium.http.tasks import spawn
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.apiserver.harness import resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


async def test_every_session_may_check_its_connection(api: Harness) -> None:
    api.denied = {"ListService", "CheckConnection"}  # the front door decides about the call itself
    reply = await api.ext("CheckConnection", ext.CheckConnectionRequest())
    assert (reply.has_gateway, reply.trouble, reply.is_connected) == (True, "", False)
    assert reply.now.ToNanoseconds() == int(api.clock.now * 1e9)
    assert reply.session_ends_at == api.session.spec.expires_at
    async with api.resources.transaction() as tx:
        session = tx.get(core.Session, uid=api.session.metadata.uid)
        session.status.is_connected = True
        tx.update(session)
    api.looker.trouble = "the gateway is silent"
    reply = await api.ext("CheckConnection", ext.CheckConnectionRequest())
    assert (reply.trouble, reply.is_connected) == ("the gateway is silent", True)


async def test_a_cluster_without_tunnels(api: Harness) -> None:
    api.looker.trouble = None
    reply = await api.ext("CheckConnection", ext.CheckConnectionRequest())
    assert (reply.has_gateway, reply.trouble) == (False, "")


async def test_nobody_else_is_told_anything(api: Harness) -> None:
    for method, request in (
        ("CheckConnection", ext.CheckConnectionRequest()),
        ("Diagnose", ext.DiagnoseRequest()),
    ):
        code, _ = await api.ext_refused(method, request, session=core.Session())
        assert code == "UNAUTHENTICATED"


async def test_a_diagnosis_names_services_that_exist(api: Harness) -> None:
    await api.store(resource("Service", "wiki.default"), resource("Service", "db.default"))
    reply = await api.ext("Diagnose", ext.DiagnoseRequest())
    assert [part.name for part in reply.parts] == ["control"]
    assert reply.now.ToNanoseconds() == int(api.clock.now * 1e9)
    assert sorted(api.looker.asked[0]) == ["db.default", "wiki.default"]
    await api.ext("Diagnose", ext.DiagnoseRequest(service="wiki"))
    assert api.looker.asked[1] == ["wiki.default"]
    # Whatever is asked for, no address is: names that no Service has are refused.
    for name in ("nothing", "127.0.0.1:22", "http://169.254.169.254/"):
        code, text = await api.ext_refused("Diagnose", ext.DiagnoseRequest(service=name))
        assert code == "NOT_FOUND"
        assert "does not exist" in text
    assert len(api.looker.asked) == 2


async def test_a_diagnosis_takes_the_right_to_see_services(api: Harness) -> None:
    api.denied = {"ListService"}
    code, text = await api.ext_refused("Diagnose", ext.DiagnoseRequest(service="nothing"))
    assert code == "PERMISSION_DENIED"
    assert text.endswith("the right to ListService")
    assert not api.looker.asked


async def test_one_diagnosis_at_a_time(api: Harness) -> None:
    api.looker.held.clear()
    first = spawn(api.ext("Diagnose", ext.DiagnoseRequest()), name="the first")
    async with asyncio.timeout(60):
        while not api.looker.asked:
            await asyncio.sleep(0.001)
    code, text = await api.ext_refused("Diagnose", ext.DiagnoseRequest())
    assert code == "UNAVAILABLE"
    assert "under way" in text
    api.looker.held.set()
    await first
    await api.ext("Diagnose", ext.DiagnoseRequest())
