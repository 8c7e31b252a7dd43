from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import codes, resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


async def test_nobody_locks_himself_out(api: Harness) -> None:
    disabled = resource("User", "root", spec={"type": "WORKLOAD", "isDisabled": True})
    error = await api.refused("UpdateUser", disabled)
    assert codes(error) == ("PERMISSION_DENIED", "you cannot disable your own User")
    error = await api.refused("DeleteUser", meta.DeleteOptions(name="root"))
    assert codes(error) == ("PERMISSION_DENIED", "you cannot delete your own User")
    disabled.spec.is_disabled = False
    disabled.metadata.display_name = "Root"
    assert (await api.core("UpdateUser", disabled)).metadata.display_name == "Root"


async def test_what_belongs_to_a_user_goes_with_it(api: Harness) -> None:
    alice = await api.core("CreateUser", resource("User", "alice", spec={"type": "WORKLOAD"}))
    session = api.new_session(alice, "alice-abc123")
    device = core.Device()
    device.metadata.name = "linux-aaaaaaaa"
    authenticator = core.Authenticator()
    authenticator.metadata.name = "totp-aaaaaa"
    for message in (device, authenticator):
        message.status.user_ref.uid = alice.metadata.uid
    await api.store(session, device, authenticator)
    spec = {"type": "AUTH_TOKEN", "user": "alice"}
    await api.core("CreateCredential", resource("Credential", "cred", spec=spec))

    changed: list[set[tuple[str, bool]]] = []
    unsubscribe = api.resources.subscribe(
        lambda commit: changed.append({(c.kind, c.after is None) for c in commit.changes})
    )
    await api.core("DeleteUser", meta.DeleteOptions(name="alice"))
    unsubscribe()
    gone = {(kind, True) for kind in ("User", "Session", "Device", "Authenticator")}
    assert changed == [gone]
    assert api.resources.find("Credential", name="cred") is not None
    assert api.resources.find("Session", uid=api.session.metadata.uid) is not None


async def test_the_clusters_own_stays(api: Harness) -> None:
    options = meta.DeleteOptions(name="octelium")
    assert codes(await api.refused("DeleteUser", options))[0] == "PERMISSION_DENIED"
    given = resource("User", "octelium", spec={"type": "WORKLOAD", "isDisabled": True})
    assert codes(await api.refused("UpdateUser", given))[0] == "PERMISSION_DENIED"


async def test_an_email_belongs_to_one_user(api: Harness) -> None:
    spec = {"type": "HUMAN", "email": "alice@example.com"}
    await api.core("CreateUser", resource("User", "alice", spec=spec))
    error = await api.refused("CreateUser", resource("User", "alice2", spec=spec))
    assert codes(error)[0] == "INVALID_ARGUMENT"
    assert "spec.email" in codes(error)[1]
    same = resource("User", "alice", spec=spec, metadata={"displayName": "Alice"})
    await api.core("UpdateUser", same)
