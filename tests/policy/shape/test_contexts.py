from __future__ import annotations

import pytest

from octelium.policy.shape.contexts import Attachment, Context, Setting
from octelium.schema.pb import core_v1_pb2 as core

MODE = core.ServiceSpecMode__
HTTP = Attachment(MODE.HTTP)
SSH = Attachment(MODE.SSH)
TCP = Attachment(MODE.TCP)
ANONYMOUS = Attachment(MODE.HTTP, anonymous=True)
OPEN = Attachment(MODE.HTTP, anonymous=True, policies=False)
IDENTITY = {"session", "user", "groups", "device"}


def members(context: Context) -> set[str]:
    assert context.shape.members is not None
    return set(context.shape.members.names())


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        (Setting.ACCESS, {"service", "namespace", "request", *IDENTITY}),
        (Setting.BEFORE_AUTHENTICATION, {"service", "request"}),
        (Setting.ASSERTION, {"assertionMap", "assertion"}),
        (Setting.LOGIN, {"user", "identityProvider", "authenticationInfo"}),
        (Setting.ENFORCEMENT, {"user", "identityProvider", "session", "authenticatorList"}),
        (Setting.AUTHENTICATOR, {"authenticator", "user", "session", "info"}),
    ],
)
def test_every_context_has_its_members(setting: Setting, names: set[str]) -> None:
    assert members(Context(setting)) == names


@pytest.mark.parametrize(
    ("attachments", "names"),
    [
        ({HTTP}, {"service", "namespace", "request", *IDENTITY}),
        ({SSH, TCP}, {"service", "namespace", "request", *IDENTITY}),
        ({TCP}, {"service", "namespace", *IDENTITY}),
        ({ANONYMOUS}, {"service", "namespace", "request"}),
        ({OPEN}, {"service", "request"}),
        ({OPEN, SSH}, {"service", "namespace", "request", *IDENTITY}),
    ],
)
def test_members_by_attachment(attachments: set[Attachment], names: set[str]) -> None:
    assert members(Context(Setting.ACCESS, frozenset(attachments))) == names


def test_why_a_member_is_not_there() -> None:
    def reason(attachment: Attachment, name: str) -> str:
        found = Context(Setting.ACCESS, frozenset({attachment})).shape.members
        assert found is not None
        assert found.get(name) is None
        return found.elsewhere(name)

    assert reason(ANONYMOUS, "user") == "an anonymous Service asks nobody who they are"
    assert "enableAnonymous" in reason(OPEN, "namespace")
    assert reason(TCP, "request").startswith("only requests of mode DNS, GRPC")
    assert reason(TCP, "reqest") == ""


def test_what_a_context_is_for() -> None:
    context = Context(Setting.ACCESS, frozenset({HTTP, SSH}), has_attrs=True)
    assert context.modes == frozenset({int(MODE.HTTP), int(MODE.SSH)})
    assert context.anywhere == Context(Setting.ACCESS, None, has_attrs=True)
    assert context.anywhere.modes is None
    assert context.shape is Context(Setting.ACCESS, frozenset({SSH, HTTP})).shape
