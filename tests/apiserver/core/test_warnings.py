from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest

from octelium.apiserver.core.rules import all_rules
from octelium.apiserver.core.service import DESCRIPTOR
from octelium.apiserver.core.warnings import (
    ERRORS_TRAILER,
    STRICT,
    TRAILER,
    StoredAttachments,
    packed,
    warning,
    with_ancestors,
)
from octelium.policy.lint import Finding
from octelium.policy.shape.contexts import Attachment
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.apiserver.harness import PATIENCE, codes, resource, trailer

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness

MODE = core.ServiceSpecMode__
CONFIG = {"upstream": {"url": "ssh://10.0.0.1"}}


def policy(name: str, text: str) -> Any:
    rules = [{"effect": "ALLOW", "condition": {"match": text}}]
    return resource("Policy", name, spec={"rules": rules})


TYPO = policy("staff", "ctx.user.spec.emial == 'a'")
WEB = policy("web", "ctx.request.http.path == '/'")


async def written(api: Harness, method: str, message: Any, *, strict: bool = False) -> list[Any]:
    """Write a resource; the warnings that came with the reply."""
    function: Any = api.channel.unary_unary(
        f"/{DESCRIPTOR.full_name}/{method}",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=type(message).FromString,
    )
    metadata = (*api.credentials(), *(((STRICT, "true"),) if strict else ()))
    call = function(message, metadata=metadata, timeout=PATIENCE)
    await call
    found = [value for key, value in await call.trailing_metadata() if key == TRAILER]
    assert len(found) < 2
    return list(ext.ApplyErrors.FromString(found[0]).errors) if found else []


async def test_single_calls_carry_warnings_behind_their_reply(api: Harness) -> None:
    [created] = await written(api, "CreatePolicy", TYPO)
    assert (created.kind, created.name) == ("Policy", "staff")
    assert created.path == "spec.rules[0].condition.match"
    assert created.problem == "`ctx.user.spec` has no member 'emial'"
    assert created.remedy == "did you mean email?"
    assert not created.HasField("index")
    assert await written(api, "UpdatePolicy", TYPO) == [created]
    assert await written(api, "UpdatePolicy", policy("staff", "ctx.user.spec.email == 'a'")) == []


async def test_strict_calls_are_refused(api: Harness) -> None:
    revision = api.resources.revision
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await written(api, "CreatePolicy", TYPO, strict=True)
    code, text = codes(caught.value)
    assert code == "INVALID_ARGUMENT"
    assert text.startswith("spec.rules[0].condition.match: `ctx.user.spec` has no member 'emial'")
    content = trailer(caught.value, ERRORS_TRAILER)
    assert content is not None
    [error] = ext.ApplyErrors.FromString(content).errors
    assert error.remedy == "did you mean email?"
    assert api.resources.revision == revision
    assert await written(api, "CreatePolicy", WEB, strict=True) == []
    with pytest.raises(grpc.aio.AioRpcError):
        await written(api, "UpdatePolicy", policy("web", "ctx.usr.a == 1"), strict=True)


async def test_every_kind_with_expressions_is_looked_at(api: Harness) -> None:
    inline = {"inlinePolicies": [{"spec": {"rules": [dict(TYPO_RULE)]}}]}
    group = resource("Group", "ops", spec={"authorization": inline})
    [found] = await written(api, "CreateGroup", group)
    assert found.path == "spec.authorization.inlinePolicies[0].spec.rules[0].condition.match"
    config = await api.core("GetClusterConfig")
    rule = {"effect": "ENFORCE", "condition": {"match": "ctx.device.spec.state == 'ACTIVE'"}}
    config.spec.CopyFrom(
        resource(
            "ClusterConfig", spec={"authenticator": {"registrationEnforcementRules": [rule]}}
        ).spec
    )
    [found] = await written(api, "UpdateClusterConfig", config)
    assert found.problem == "`ctx` has no member 'device'"


TYPO_RULE = {"effect": "ALLOW", "condition": {"match": "ctx.user.spec.emial == 'a'"}}


async def test_where_policies_are_attached(api: Harness) -> None:
    for name in ("base", "eu.base", "lonely"):
        await api.core("CreatePolicy", policy(name, "true"))
    shell = resource(
        "Service",
        "shell",
        spec={"mode": "SSH", "config": CONFIG, "authorization": {"policies": ["eu.base"]}},
    )
    await api.core("CreateService", shell)
    known = StoredAttachments(api.resources, visible=True)
    ssh = frozenset({Attachment(MODE.SSH)})
    assert [known.services(name) for name in ("eu.base", "base", "lonely")] == [ssh, ssh, set()]
    assert not known.elsewhere("base")
    assert known.policy("base") is None

    user = {"type": "HUMAN", "authorization": {"policies": ["eu.base"]}}
    await api.core("CreateUser", resource("User", "ann", spec=user))
    known = StoredAttachments(api.resources, visible=True, reviewed={"base"}, named=True)
    assert known.elsewhere("base")
    assert known.elsewhere("eu.base")
    assert not known.elsewhere("lonely")
    hidden = StoredAttachments(api.resources, visible=False)
    assert not hidden.services("base")
    assert not hidden.elsewhere("base")
    assert known.policy("base") is None
    assert known.policy("gone") is None
    named = known.policy("eu.base")
    assert named is not None
    assert named.metadata.name == "eu.base"


async def test_a_policy_that_a_service_of_another_mode_names(api: Harness) -> None:
    assert await written(api, "CreatePolicy", WEB) == []
    shell = {"mode": "SSH", "config": CONFIG, "authorization": {"policies": ["web"]}}
    # Whoever may write a Service need not be one to read Policies.
    assert await written(api, "CreateService", resource("Service", "shell", spec=shell)) == []
    [found] = await written(api, "UpdatePolicy", WEB)
    assert found.path == "spec.rules[0].condition"
    assert "can never be true where it is attached (mode SSH)" in found.problem
    config = {"upstream": {"url": "http://10.0.0.1:80"}}
    page = {"mode": "HTTP", "config": config, "authorization": {"policies": ["web"]}}
    await api.core("CreateService", resource("Service", "page", spec=page))
    assert await written(api, "UpdatePolicy", WEB) == []


@pytest.mark.parametrize(
    "right",
    [
        *(f"List{kind}" for kind in ("Service", "Namespace", "User", "Group", "Credential")),
        *("ListDevice", "ListSession", "GetClusterConfig"),
    ],
)
async def test_warnings_tell_nothing_of_hidden_attachments(api: Harness, right: str) -> None:
    shell = {"mode": "SSH", "config": CONFIG, "authorization": {"policies": ["web"]}}
    await api.core("CreatePolicy", WEB)
    await api.core("CreateService", resource("Service", "shell", spec=shell))
    assert len(await written(api, "UpdatePolicy", WEB)) == 1
    api.denied = {right}
    assert await written(api, "UpdatePolicy", WEB) == []
    # What the text itself shows is told all the same.
    [found] = await written(api, "UpdatePolicy", policy("web", "ctx.user.spec.emial == 'a'"))
    assert found.remedy == "did you mean email?"


def test_what_contributes_along() -> None:
    assert list(with_ancestors(["c.b.a", "d"])) == ["c.b.a", "b.a", "a", "d"]


def test_no_more_is_packed_than_fits() -> None:
    finding = Finding("spec", "x" * 1000, "y")
    items = [warning(all_rules()["Policy"], "p", finding, index) for index in range(9)]
    assert len(packed(items)) <= 4000
    errors = ext.ApplyErrors.FromString(packed(items)).errors
    assert [error.index for error in errors] == [0, 1, 2]
