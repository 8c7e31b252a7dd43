"""Transactional applies over the wire, and their equality with a model."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from octelium.apiserver.core.warnings import ERRORS_TRAILER
from octelium.apiserver.rpc import ApiError, Call
from octelium.http.tasks import spawn
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import bootstrapped, codes, resource, trailer, wrapped

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.store.transaction import Transaction
    from tests.apiserver.harness import Harness

ALLOW = {"rules": [{"effect": "ALLOW", "condition": {"matchAny": True}}]}
ACTIONS = ext.Action__


def web(name: str, **spec: Any) -> core.Service:
    config = {"upstream": {"url": "http://10.0.0.5:8080"}}
    made: core.Service = resource("Service", name, spec={"mode": "WEB", "config": config, **spec})
    return made


def outline(response: ext.ApplyResponse) -> list[tuple[str, str, str]]:
    return [
        (operation.kind, operation.name, ACTIONS.Action.Name(operation.action))
        for operation in response.operations
    ]


def whole_house() -> list[Any]:
    """Every declarable kind, each before what it refers to."""
    oidc = {
        "clientID": "oct",
        "clientSecret": {"fromSecret": "corp-oidc"},
        "issuerURL": "https://sso.example.com/",
    }
    identity = {"identities": [{"identityProvider": "corp", "identifier": "alice"}]}
    bearer = {"fromSecret": "corp-oidc"}
    return [
        resource("ClusterConfig", spec={"authorization": {"policies": ["eu.staff"]}}),
        resource("Credential", "cred", spec={"type": "AUTH_TOKEN", "user": "alice"}),
        web(
            "wiki.prod",
            authorization={"policies": ["staff"]},
            config={
                "upstream": {"url": "http://10.0.0.5:8080"},
                "http": {"auth": {"bearer": bearer}},
            },
        ),
        resource(
            "User",
            "alice",
            spec={"type": "HUMAN", "groups": ["ops"], "authentication": identity},
        ),
        resource("Group", "ops", spec={"authorization": {"policies": ["eu.staff"]}}),
        resource("Namespace", "prod", spec={"authorization": {"policies": ["staff"]}}),
        resource("IdentityProvider", "corp", spec={"oidc": oidc}),
        resource("Policy", "eu.staff", spec=ALLOW),
        resource("Policy", "staff", spec=ALLOW),
        resource("Config", "geo", data={"value": "v1"}),
        resource("Secret", "corp-oidc", data={"value": "hunter2"}),
    ]


async def test_a_whole_house_in_one_revision(api: Harness) -> None:
    house = whole_house()
    before = api.resources.revision
    response = await api.apply(*house)
    assert response.revision == api.resources.revision == before + 1
    names = [(m.kind, m.metadata.name or "default") for m in house]
    assert [(kind, name) for kind, name, _ in outline(response)] == names
    assert {action for *_, action in outline(response)} == {"CREATED", "UPDATED"}
    made = api.resources.get(core.Service, name="wiki.prod")
    assert made.status.primary_hostname == "wiki.prod"
    assert made.metadata.actor_operation == "octelium.ext.v1.MainService/Apply"
    assert made.metadata.actor_ref.uid == api.session.metadata.uid


async def test_applying_again_changes_nothing_and_says_so(api: Harness) -> None:
    house = whole_house()
    first = await api.apply(*house)
    again = await api.apply(*house)
    assert {action for *_, action in outline(again)} == {"UNCHANGED"}
    assert again.revision == first.revision == api.resources.revision


async def test_updates_name_the_fields(api: Harness) -> None:
    await api.apply(*whole_house())
    response = await api.apply(
        web("wiki.prod", isDisabled=True),
        resource("Secret", "corp-oidc", data={"value": "hunter3"}),
        resource("Group", "ops", metadata={"displayName": "Operators"}),
    )
    changed = {operation.kind: list(operation.changed) for operation in response.operations}
    assert set(changed["Service"]) == {
        "spec.isDisabled",
        "spec.authorization",
        "spec.config.http",
    }
    assert changed["Secret"] == ["data"]
    assert set(changed["Group"]) == {"metadata.displayName", "spec.authorization"}
    for operation in response.operations:
        assert not operation.HasField("before")
        assert not operation.HasField("after")
    assert api.resources.get(core.Secret, name="corp-oidc").data.value == "hunter3"


async def test_a_dry_run_says_all_and_writes_nothing(api: Harness) -> None:
    await api.apply(*whole_house())
    before = api.resources.revision
    response = await api.apply(
        resource("Secret", "corp-oidc", data={"value": "hunter3"}),
        resource("Group", "dev", metadata={"displayName": "Developers"}),
        resource("Group", "ops"),
        dry_run=True,
        prune=True,
        prune_kinds=["Credential"],
    )
    assert api.resources.revision == before
    assert outline(response) == [
        ("Secret", "corp-oidc", "UPDATED"),
        ("Group", "dev", "CREATED"),
        ("Group", "ops", "UPDATED"),
        ("Credential", "cred", "DELETED"),
    ]
    secret, dev, ops, cred = response.operations
    assert b"hunter" not in response.SerializeToString()
    assert list(secret.changed) == ["data"]
    assert not dev.HasField("before")
    after = json_format.MessageToDict(dev.after)
    assert after["metadata"] == {"name": "dev", "displayName": "Developers"}
    assert json_format.MessageToDict(ops.before)["spec"] == {
        "authorization": {"policies": ["eu.staff"]}
    }
    assert json_format.MessageToDict(ops.after)["spec"] == {}
    assert cred.HasField("before")
    assert not cred.HasField("after")


async def test_one_fault_refuses_all_and_names_the_place(api: Harness) -> None:
    house = whole_house()
    house[2].spec.port = 70_000
    error = await api.apply_refused(*house)
    code, text = codes(error)
    assert code == "INVALID_ARGUMENT"
    assert text.startswith("resources[2] Service wiki.prod: spec.port: ")
    found = trailer(error, ERRORS_TRAILER)
    assert found is not None
    [fault] = ext.ApplyErrors.FromString(found).errors
    assert (fault.index, fault.kind, fault.name, fault.path) == (
        2,
        "Service",
        "wiki.prod",
        "spec.port",
    )


async def test_all_faults_of_a_kind_are_named_at_once(api: Harness) -> None:
    users = [resource("User", f"user-{letter}") for letter in "abc"]
    users[1].spec.type = core.UserSpecType__.HUMAN
    error = await api.apply_refused(*users, resource("Group", "ops"))
    assert [line.split(":")[0] for line in codes(error)[1].splitlines()] == [
        "resources[0] User user-a",
        "resources[2] User user-c",
    ]


async def test_faults_of_all_kinds_are_named_but_not_what_only_follows_from_them(
    api: Harness,
) -> None:
    error = await api.apply_refused(
        resource("Namespace", "prod", spec={"authorization": {"policies": ["no"]}}),
        resource("Group", "ops", spec={"authorization": {"policies": ["no"]}}),
        resource("User", "ann", spec={"type": "HUMAN", "groups": ["ops"]}),
        resource("User", "bob", spec={"type": "HUMAN", "groups": ["other"]}),
        web("wiki.prod"),
        web("wiki.nowhere"),
        resource("Credential", "cred", spec={"type": "AUTH_TOKEN", "user": "ann"}),
        resource("Credential", "more", spec={"type": "AUTH_TOKEN", "user": "nobody"}),
    )
    assert [line.split(":")[0] for line in codes(error)[1].splitlines()] == [
        "resources[0] Namespace prod",
        "resources[1] Group ops",
        "resources[3] User bob",
        "resources[5] Service wiki.nowhere",
        "resources[7] Credential more",
    ]


async def test_a_deletion_is_not_refused_because_a_change_was(api: Harness) -> None:
    await api.store(
        resource("Group", "ops"),
        resource("User", "ann", spec={"type": "HUMAN", "groups": ["ops"]}),
    )
    error = await api.apply_refused(
        resource("User", "ann", spec={"type": "HUMAN", "groups": ["no"]}),
        prune=True,
        prune_kinds=["Group"],
    )
    assert [line.split(":")[0] for line in codes(error)[1].splitlines()] == [
        "resources[0] User ann"
    ]


async def test_all_that_the_caller_may_not_do_is_named_once(api: Harness) -> None:
    api.denied = {"CreateGroup", "CreateUser"}
    error = await api.apply_refused(
        resource("Group", "ops"),
        resource("User", "bob", spec={"type": "HUMAN"}),
        resource("User", "eve", spec={"type": "HUMAN"}),
    )
    assert codes(error)[1].splitlines() == [
        "resources[0] Group ops: CreateGroup: Octelium: Unauthorized",
        "resources[1] User bob: CreateUser: Octelium: Unauthorized",
        "resources[2] User eve: CreateUser: Octelium: Unauthorized",
    ]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ([resource("User", "bob", spec={"type": "HUMAN", "groups": ["no"]})], "spec.groups[0]"),
        ([resource("Policy", "x.nobody", spec=ALLOW)], "metadata.name"),
        ([web("wiki.nowhere")], "metadata.name"),
        ([resource("Secret", "key")], "data"),
        ([resource("Namespace", "default", metadata={"displayName": "x"})], "This is a System"),
        ([resource("User", "root", spec={"type": "WORKLOAD", "isDisabled": True})], "your own"),
        ([resource("Namespace", "wiki"), web("wiki")], "metadata.name"),
        (
            [
                resource("User", "bob", spec={"type": "HUMAN", "email": "b@example.com"}),
                resource("User", "eve", spec={"type": "HUMAN", "email": "b@example.com"}),
            ],
            "spec.email",
        ),
    ],
)
async def test_faults(api: Harness, changes: list[Any], place: str) -> None:
    error = await api.apply_refused(resource("Group", "ops"), *changes)
    assert place in codes(error)[1]
    assert codes(error)[0] in {"INVALID_ARGUMENT", "PERMISSION_DENIED"}


async def test_any_refusal_refuses_all(api: Harness) -> None:
    api.denied = {"UpdateGroup"}
    await api.store(resource("Group", "ops"))
    error = await api.apply_refused(
        resource("Group", "dev"), resource("Group", "ops", metadata={"displayName": "x"})
    )
    assert codes(error) == (
        "PERMISSION_DENIED",
        "resources[1] Group ops: UpdateGroup: Octelium: Unauthorized",
    )
    response = await api.apply(resource("Group", "dev"), resource("Group", "ops"))
    assert [action for *_, action in outline(response)] == ["CREATED", "UNCHANGED"]


async def test_each_method_is_decided_before_anything_is_told(api: Harness) -> None:
    api.denied = {"CreateUser"}
    error = await api.apply_refused(resource("User", "bob", spec={"groups": ["no-such"]}))
    assert codes(error)[0] == "PERMISSION_DENIED"
    assert "no-such" not in codes(error)[1]
    api.denied = {"GetSecret"}
    await api.store(resource("Secret", "key", data={"value": "hunter2"}))
    for guess in ("hunter2", "hunter3"):
        given = resource("Secret", "key", data={"value": guess})
        error = await api.apply_refused(given, dry_run=True)
        assert codes(error) == (
            "PERMISSION_DENIED",
            "resources[0] Secret key: GetSecret: Octelium: Unauthorized",
        )


NO_RIGHTS = {
    verb + kind for verb in ("Get", "Create", "Update") for kind in ("User", "Secret", "Session")
}


async def test_without_rights_existence_is_not_told(api: Harness) -> None:
    """Whatever is there or not, hidden or of the system, the answer is the same."""
    own = resource("Secret", "hidden-key", data={"value": "x"})
    own.metadata.is_system = own.metadata.is_system_hidden = True
    await api.store(own, resource("User", "bob", spec={"type": "HUMAN"}))
    api.denied = NO_RIGHTS
    for there, absent in (
        (resource("User", "bob"), resource("User", "no-bob")),
        (resource("User", "octelium"), resource("User", "no-octelium")),
        (resource("Session", "root-abc123"), resource("Session", "root-xyz789")),
        *(
            (
                resource("Secret", name, data={"value": "x"}),
                resource("Secret", "not-there", data={"value": "x"}),
            )
            for name in ("hidden-key", "sys:root-secret-aaaaaaaa")
        ),
    ):
        answers = []
        for message in (there, absent):
            error = await api.apply_refused(message, dry_run=True)
            assert codes(error)[0] == "PERMISSION_DENIED"
            refused = ext.ApplyErrors.FromString(trailer(error, ERRORS_TRAILER) or b"")
            answers.append([item.problem for item in refused.errors])
            assert codes(error)[1].endswith(": Octelium: Unauthorized")
        assert answers == [["Octelium: Unauthorized"]] * 2


async def test_all_kinds_out_of_reach_are_named_at_once(api: Harness) -> None:
    api.denied = NO_RIGHTS
    error = await api.apply_refused(
        resource("Group", "ops"), resource("User", "bob"), resource("Secret", "key")
    )
    assert codes(error)[1].splitlines() == [
        "resources[1] User bob: Octelium: Unauthorized",
        "resources[2] Secret key: Octelium: Unauthorized",
    ]


@pytest.mark.parametrize("name", ["sys:root-secret-aaaaaaaa", "sys:root-secret-zzzzzzzz"])
async def test_names_of_the_cluster_are_refused_unseen(api: Harness, name: str) -> None:
    error = await api.apply_refused(resource("Secret", name, data={"value": "x"}))
    assert codes(error)[0] == "INVALID_ARGUMENT"
    assert "is a name of the Cluster's own" in codes(error)[1]


async def test_pruning_is_decided_too(api: Harness) -> None:
    await api.store(resource("Group", "ops"))
    for method in ("ListGroup", "DeleteGroup"):
        api.denied = {method}
        error = await api.apply_refused(prune=True, prune_kinds=["Group"])
        assert codes(error)[0] == "PERMISSION_DENIED"
        assert method in codes(error)[1]


async def test_a_decision_that_fails_refuses(
    api: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    api.fails_to_decide = True
    error = await api.apply_refused(resource("Group", "ops"))
    assert codes(error) == ("INTERNAL", "Internal error")
    assert "no decision" in caplog.text


async def test_what_appears_between_decision_and_transaction_is_decided(api: Harness) -> None:
    """The plan made for the decision saw no Group; the one in the transaction does."""
    async with api.resources.transaction() as tx:
        applying = spawn(
            api.apply(resource("Group", "ops", metadata={"displayName": "x"})), name="apply"
        )
        while "CreateGroup" not in api.decided:
            await asyncio.sleep(0.001)
        tx.create(resource("Group", "ops"))
    response = await applying
    assert outline(response) == [("Group", "ops", "UPDATED")]
    assert api.decided == ["GetGroup", "CreateGroup", "UpdateGroup"]


async def test_pruning(api: Harness) -> None:
    await api.apply(*whole_house())
    kept = [message for message in whole_house() if message.kind in {"Secret", "Config"}]
    root = resource("User", "root", spec={"type": "WORKLOAD"})
    kinds = [
        *("Policy", "IdentityProvider", "Namespace", "Group"),
        *("User", "Service", "Credential", "Secret"),
    ]
    response = await api.apply(*kept, root, prune=True, prune_kinds=kinds)
    deleted = [(kind, name) for kind, name, action in outline(response) if action == "DELETED"]
    assert deleted == [
        ("Credential", "cred"),
        ("Service", "wiki.prod"),
        ("User", "alice"),
        ("Group", "ops"),
        ("Namespace", "prod"),
        ("IdentityProvider", "corp"),
        ("Policy", "eu.staff"),
        ("Policy", "staff"),
    ]
    assert {n.metadata.name for n in api.resources.list(core.Namespace)} == {
        "default",
        "octelium",
        "octelium-api",
    }
    assert {u.metadata.name for u in api.resources.list(core.User)} == {"octelium", "root"}


async def test_pruning_leaves_the_caller_s_own_user_alone(api: Harness) -> None:
    await api.apply(resource("User", "alice", spec={"type": "HUMAN"}))
    response = await api.apply(prune=True, prune_kinds=["User"])
    assert outline(response) == [("User", "alice", "DELETED")]
    assert {u.metadata.name for u in api.resources.list(core.User)} == {"octelium", "root"}


@pytest.mark.parametrize("dry_run", [True, False])
async def test_what_the_cluster_made_is_pruned_only_on_request(api: Harness, dry_run: bool) -> None:
    await api.apply(resource("Policy", "made", spec=ALLOW))
    api.built_in = {api.resources.get(core.Policy, name="made").metadata.uid}
    kinds = ["Policy", "User"]
    response = await api.apply(prune=True, prune_kinds=kinds, dry_run=dry_run)
    assert outline(response) == []
    assert [(one.kind, one.name, one.own) for one in response.spared] == [
        ("User", "root", True),
        ("Policy", "made", False),
    ]
    response = await api.apply(prune=True, prune_kinds=kinds, prune_builtin=True, dry_run=dry_run)
    assert outline(response) == [("Policy", "made", "DELETED")]
    assert [(one.kind, one.name) for one in response.spared] == [("User", "root")]
    assert (api.resources.find(core.Policy, name="made") is None) is not dry_run


async def test_a_request_that_does_not_prune_spares_nothing(api: Harness) -> None:
    api.built_in = {api.root.metadata.uid}
    response = await api.apply(resource("Group", "ops"), prune_builtin=True)
    assert not response.spared
    assert outline(response) == [("Group", "ops", "CREATED")]


async def test_a_group_goes_with_its_last_member(api: Harness) -> None:
    await api.apply(
        resource("Group", "ops"),
        resource("User", "alice", spec={"type": "HUMAN", "groups": ["ops"]}),
    )
    response = await api.apply(
        resource("User", "alice", spec={"type": "HUMAN"}), prune=True, prune_kinds=["Group"]
    )
    assert outline(response) == [("User", "alice", "UPDATED"), ("Group", "ops", "DELETED")]


async def test_what_is_pruned_cannot_be_referred_to(api: Harness) -> None:
    await api.store(resource("Policy", "staff", spec=ALLOW))
    group = resource("Group", "ops", spec={"authorization": {"policies": ["staff"]}})
    error = await api.apply_refused(group, prune=True, prune_kinds=["Policy"])
    assert codes(error)[0] == "INVALID_ARGUMENT"
    assert "spec.authorization.policies[0]" in codes(error)[1]


async def test_canonical_forms_are_no_change(api: Harness) -> None:
    await api.apply(*whole_house())
    before = api.resources.revision
    provider = whole_house()[6]
    provider.spec.oidc.issuer_url = "HTTPS://SSO.example.com"
    response = await api.apply(provider)
    assert outline(response) == [("IdentityProvider", "corp", "UNCHANGED")]
    assert api.resources.revision == before


async def test_sessions_can_be_changed_too(api: Harness) -> None:
    other = (await api.store(api.new_session(api.root, "root-other1")))[0]
    other.spec.state = core.SessionSpecState__.REJECTED
    response = await api.apply(other)
    assert outline(response) == [("Session", "root-other1", "UPDATED")]
    own = core.Session.FromString(api.session.SerializeToString())
    own.spec.state = core.SessionSpecState__.REJECTED
    assert codes(await api.apply_refused(own))[0] == "PERMISSION_DENIED"


async def test_who_has_gone_applies_nothing(api: Harness) -> None:
    async with api.resources.transaction() as tx:
        tx.delete("Session", api.session.metadata.uid)
    error = await api.apply_refused(resource("Group", "ops"))
    assert codes(error)[0] == "UNAUTHENTICATED"


def guarded(prefix: str, count: int) -> list[core.Service]:
    """Services with a Policy each."""
    return [
        web(
            f"{prefix}-{number}",
            isPublic=True,
            authorization={
                "inlinePolicies": [
                    {
                        "spec": {
                            "rules": [
                                {
                                    "effect": "ALLOW",
                                    "condition": {
                                        "match": f'ctx.user.metadata.name == "u{number}"'
                                    },
                                }
                            ]
                        }
                    }
                ]
            },
        )
        for number in range(count)
    ]


async def test_a_thousand_services_in_one_transaction(api: Harness) -> None:
    services = guarded("svc", 1000)
    before = api.resources.revision
    response = await api.apply(*services)
    assert response.revision == before + 1
    again = await api.apply(*services)
    assert {action for *_, action in outline(again)} == {"UNCHANGED"}
    assert again.revision == before + 1
    options = core.ListServiceOptions(common=meta.CommonListOptions(items_per_page=1000))
    listed = await api.core("ListService", options)
    assert len(listed.items) == 1000


async def test_ten_times_as_many_take_ten_times_the_work(api: Harness) -> None:
    """Counted in calls of functions, which are as many on any machine."""

    async def work(prefix: str, count: int) -> int:
        request = ext.ApplyRequest(resources=wrapped(*guarded(prefix, count)))
        call = Call("/octelium.ext.v1.MainService/Apply", session_uid=api.session.metadata.uid)
        calls = 0

        def note(_frame: object, event: str, _argument: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(note)
        try:
            await api.applier.apply(request, call)
        finally:
            sys.setprofile(None)
        return calls

    few = await work("few", 20)
    assert await work("many", 200) < 15 * few


NAMES = ("aa", "bb", "cc")
GROUPS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["", "x", "y"]))
USERS = st.dictionaries(st.sampled_from(NAMES), st.frozensets(st.sampled_from(NAMES)))
ROUNDS = st.lists(
    st.tuples(GROUPS, USERS, st.booleans(), st.booleans(), st.randoms(use_true_random=False)),
    min_size=1,
    max_size=6,
)


class Model:
    """What a sequence of applies of Groups (display name) and Users (their Groups) leaves."""

    def __init__(self) -> None:
        self.groups: dict[str, str] = {}
        self.users: dict[str, frozenset[str]] = {}

    def apply(
        self, groups: dict[str, str], users: dict[str, frozenset[str]], prune: bool
    ) -> tuple[dict[str, str], dict[str, frozenset[str]]] | None:
        """The state afterwards; None when the apply must be refused."""
        new_users = {**({} if prune else self.users), **users}
        new_groups = {**({} if prune else self.groups), **groups}
        at_hand = {**self.groups, **groups}
        changed = {name for name in users if self.users.get(name) != users[name]}
        if any(member not in at_hand for name in changed for member in users[name]):
            return None
        if any(member not in new_groups for members in new_users.values() for member in members):
            return None
        return new_groups, new_users


async def _compare(directory: Path, rounds: list[Any]) -> None:
    async with bootstrapped(directory) as api:
        model = Model()
        for groups, users, prune, dry_run, random in rounds:
            messages = [
                resource("Group", name, metadata={"displayName": title} if title else {})
                for name, title in groups.items()
            ]
            messages += [
                resource("User", name, spec={"type": "HUMAN", "groups": sorted(members)})
                for name, members in users.items()
            ]
            messages.append(resource("User", "root", spec={"type": "WORKLOAD"}))
            random.shuffle(messages)
            kinds = ["Group", "User"] if prune else []
            options = {"prune": prune, "prune_kinds": kinds, "dry_run": dry_run}
            expected = model.apply(groups, users, prune)
            before = api.resources.revision
            request = ext.ApplyRequest(resources=wrapped(*messages), **options)
            call = Call("/octelium.ext.v1.MainService/Apply", session_uid=api.session.metadata.uid)
            if expected is None:
                with pytest.raises(ApiError):
                    await api.applier.apply(request, call)
                assert api.resources.revision == before
                continue
            response = await api.applier.apply(request, call)
            changed = expected != (model.groups, model.users)
            did = {action for *_, action in outline(response)} != {"UNCHANGED"}
            assert did == changed
            assert api.resources.revision == before + (changed and not dry_run)
            if not dry_run:
                model.groups, model.users = expected
            assert model.groups == {
                group.metadata.name: group.metadata.display_name
                for group in api.resources.list(core.Group)
            }
            assert model.users == {
                user.metadata.name: frozenset(user.spec.groups)
                for user in api.resources.list(core.User)
                if user.metadata.name in NAMES
            }


@settings(max_examples=25, deadline=None)
@given(ROUNDS)
def test_any_sequence_of_applies_equals_the_model(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[Any]
) -> None:
    asyncio.run(_compare(tmp_path_factory.mktemp("store"), rounds))


async def test_a_look_at_what_would_be_changes_nothing(api: Harness) -> None:
    seen: list[str] = []

    def look(tx: Transaction) -> None:
        seen.extend(message.metadata.name for message in tx.peek_all(core.Group))

    before = api.resources.revision
    request = ext.ApplyRequest(resources=wrapped(resource("Group", "ops")))
    call = Call(path="/x", session_uid=api.session.metadata.uid)
    await api.applier.apply(request, call, look=look)
    assert seen == ["ops"]
    assert api.resources.revision == before
    assert api.resources.peek(core.Group, name="ops") is None


async def test_groups_of_a_provider_are_applied_with_their_config(api: Harness) -> None:
    def takes(expression: str) -> Any:
        return resource("Config", "takes", data={"attrs": {"groups": expression}})

    okta = resource(
        "IdentityProvider",
        "okta",
        metadata={"annotations": {"groups-config": "takes"}},
        spec={
            "oidc": {
                "issuerURL": "https://okta.test",
                "clientID": "x",
                "clientSecret": {"fromSecret": "okta"},
            }
        },
    )
    secret = resource("Secret", "okta", data={"value": "x"})
    error = await api.apply_refused(okta, secret, takes("ctx.("))
    (fault,) = ext.ApplyErrors.FromString(trailer(error, ERRORS_TRAILER) or b"").errors
    assert fault.path == "metadata.annotations.groups-config"
    assert "data.attrs.groups" in fault.problem
    await api.apply(okta, secret, takes("ctx.assertionMap.groups"))
    error = await api.apply_refused(takes('"ops"'))
    (fault,) = ext.ApplyErrors.FromString(trailer(error, ERRORS_TRAILER) or b"").errors
    assert (fault.kind, fault.path) == ("Config", "data.attrs.groups")
