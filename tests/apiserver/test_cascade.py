from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.apiserver.cascade import delete_belongings, delete_device_sessions
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import invitation_v1_pb2 as invitation
from octelium.store.metadata import reference
from tests.apiserver.harness import resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


def owned(kind: type[Any], name: str, user: core.User) -> Any:
    message = kind()
    message.metadata.name = name
    message.status.user_ref.CopyFrom(reference(user))
    return message


async def test_only_what_belongs_to_the_user_goes(api: Harness) -> None:
    [alice] = await api.store(resource("User", "alice", spec={"type": "HUMAN"}))
    for user in (alice, api.root):
        name = user.metadata.name
        await api.store(
            api.new_session(user, f"{name}-xxxxxx"),
            owned(core.Device, f"linux-{name}", user),
            owned(core.Authenticator, f"totp-{name}", user),
            owned(core.Credential, f"cred-{name}", user),
            owned(invitation.Invitation, user.metadata.uid, user),
        )
    async with api.resources.transaction() as tx:
        delete_belongings(tx, alice)
    assert [s.metadata.name for s in api.resources.list(core.Session)] == [
        "root-abc123",
        "root-xxxxxx",
    ]
    assert [d.metadata.name for d in api.resources.list(core.Device)] == ["linux-root"]
    assert [a.metadata.name for a in api.resources.list(core.Authenticator)] == ["totp-root"]
    assert api.resources.count(core.Credential) == 2
    (left,) = api.resources.list(invitation.Invitation)
    assert left.status.user_ref.name == "root"


async def test_only_sessions_of_the_device_go(api: Harness) -> None:
    device, other = await api.store(
        owned(core.Device, "linux-one", api.root), owned(core.Device, "linux-two", api.root)
    )
    bound = api.new_session(api.root, "root-bound1")
    bound.status.device_ref.CopyFrom(reference(device))
    elsewhere = api.new_session(api.root, "root-other1")
    elsewhere.status.device_ref.CopyFrom(reference(other))
    await api.store(bound, elsewhere)
    async with api.resources.transaction() as tx:
        delete_device_sessions(tx, device)
    names = [session.metadata.name for session in api.resources.list(core.Session)]
    assert names == ["root-abc123", "root-other1"]
