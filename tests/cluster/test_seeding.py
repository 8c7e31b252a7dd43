from __future__ import annotations

import base64
import os
import sqlite3
import tempfile
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octelium.client.admin import probe
from octelium.cluster import builtin, seeding
from octelium.cluster.bootstrap import add_administrator, bootstrap
from octelium.cluster.seeding import RECORD, Differing, differing, fingerprint, reseed, unedited
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import StoreUnusable
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault
from tests.cluster.conftest import SourceCluster
from tests.conftest import SOAK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

DOMAIN = "octelium.localhost"
RELEASES = Path(__file__).with_name("releases")
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
KEY = bytes(range(32))
READ_ONLY = "octelium-api-read-only"


@asynccontextmanager
async def opened(folder: Path, key: bytes = KEY) -> AsyncIterator[Resources]:
    made = Resources(await SqliteStore.open(folder), Vault([key]))
    await made.load()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def resources(tmp_path: Path) -> AsyncIterator[Resources]:
    async with opened(tmp_path, os.urandom(32)) as made:
        await bootstrap(made, DOMAIN, tmp_path / "ca.pem")
        yield made


def put_back(release: str, folder: Path) -> None:
    """The store of an earlier version."""
    with closing(sqlite3.connect(folder / "store.db")) as database:
        database.executescript((RELEASES / f"{release}.sql").read_text())


def ships(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[list[Any]], Sequence[Any]]
) -> list[Any]:
    """Make this the version whose Policies are those that `change` returns."""
    policies = [*change([*builtin.policies()])]
    monkeypatch.setattr(builtin, "policies", lambda: policies)
    return policies


def denying(name: str) -> Any:
    return builtin._message(
        "Policy",
        {
            "metadata": {"name": name},
            "spec": {"rules": [builtin._rule("DENY", {"match": 'ctx.user.metadata.name == "x"'})]},
        },
    )


def changed(policies: list[Any], name: str = READ_ONLY) -> list[Any]:
    """These Policies, with another rule in one of them."""
    for policy in policies:
        if policy.metadata.name == name:
            policy.spec.CopyFrom(denying(name).spec)
    return policies


async def edit(resources: Resources, name: str = READ_ONLY, rule: str = "mine") -> None:
    async with resources.transaction() as tx:
        policy = tx.get(core.Policy, name=name)
        policy.spec.rules[0].name = rule
        tx.update(policy)


async def test_a_cluster_of_an_early_version_is_brought_up(tmp_path: Path) -> None:
    put_back("0.1.0", tmp_path)
    async with opened(tmp_path) as resources:
        before = resources.revision
        edited = fingerprint(resources.get(core.Policy, name="http-read-only"))
        assert not await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")
        assert resources.revision == before + 1
        shipped = {one.metadata.name: one for one in seeding.shipped_objects()}
        # Never edited: as this version ships it.
        stored = resources.get(core.Policy, name=READ_ONLY)
        assert fingerprint(stored) == fingerprint(shipped[READ_ONLY])
        assert '"Watch"' in stored.spec.rules[0].condition.match
        # Of the system: brought up, with what was never there.
        api = resources.get(core.Service, name="default.octelium-api")
        assert "Watch" in api.spec.authorization.inline_policies[0].spec.rules[1].condition.match
        assert api.metadata.system_labels["apiserver-path"].endswith("/octelium.ext")
        assert resources.get(core.Service, name="dns.octelium").metadata.is_system
        # Edited or deleted by the administrator: as they left it.
        stored = resources.get(core.Policy, name="http-read-only")
        assert fingerprint(stored) == edited
        demo = resources.get(core.Service, name="demo-nginx.default")
        assert demo.spec.config.upstream.url == "https://wiki.example.com"
        assert resources.peek(core.Policy, name="deny-all") is None
        assert resources.get(core.Secret, name="wiki-key").data.value == "hunter2"
        assert resources.get(core.User, name="alice").spec.email == "alice@example.com"
        assert [one.name for one in differing(resources)] == ["demo-nginx.default"]

        revision = resources.revision
        await bootstrap(resources, DOMAIN, tmp_path / "ca.pem")
        assert resources.revision == revision


def test_it_starts_and_tells_what_stays_as_it_is(tmp_path: Path) -> None:
    key = base64.b64encode(KEY).decode()
    cluster = SourceCluster(tmp_path, workers=1, environment={"OCTELIUM_VAULT_KEY": key})
    (cluster.data / "store").mkdir(mode=0o700, parents=True)
    cluster.data.chmod(0o700)
    put_back("0.1.0", cluster.data / "store")
    try:
        cluster.start()
        made = probe(str(cluster.data))
        assert (made.status, made.url.startswith("https://octelium-api.")) == (200, True)
        assert (
            "built-in Service demo-nginx.default stays as it is: it is" in cluster.log.read_text()
        )
        assert cluster.token == ""
    finally:
        cluster.remove()


async def test_what_was_not_edited_becomes_what_is_shipped(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    ships(monkeypatch, lambda policies: [*changed(policies), denying("new")])
    assert await reseed(resources) == []
    assert resources.get(core.Policy, name=READ_ONLY).spec.rules[0].condition.match.endswith('"x"')
    assert resources.get(core.Policy, name="new").spec.rules
    revision = resources.revision
    assert await reseed(resources) == []
    assert resources.revision == revision


async def test_what_was_edited_stays_and_is_told_until_somebody_sees_to_it(
    resources: Resources, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await edit(resources)
    assert await reseed(resources) == []
    ships(monkeypatch, changed)
    (one,) = await reseed(resources)
    why = "it is an administrator's, and this version ships another form"
    assert one == Differing("Policy", READ_ONLY, why)
    assert resources.get(core.Policy, name=READ_ONLY).spec.rules[0].name == "mine"
    await bootstrap(resources, DOMAIN, Path("/nonexistent"))
    assert f"built-in Policy {READ_ONLY} stays as it is: " in caplog.text
    assert differing(resources) == [one]
    await edit(resources, rule="mine, with what is new")
    assert differing(resources) == []
    assert await reseed(resources) == []


async def test_the_shipped_form_can_be_taken_after_all(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    await edit(resources)
    policies = ships(monkeypatch, changed)
    assert await reseed(resources)
    async with resources.transaction() as tx:
        policy = tx.get(core.Policy, name=READ_ONLY)
        policy.spec.CopyFrom(next(p for p in policies if p.metadata.name == READ_ONLY).spec)
        tx.update(policy)
    assert await reseed(resources) == []
    monkeypatch.undo()
    assert await reseed(resources) == []
    stored = resources.get(core.Policy, name=READ_ONLY)
    assert '"Watch"' in stored.spec.rules[0].condition.match


async def test_what_was_deleted_does_not_come_back(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with resources.transaction() as tx:
        tx.delete("Policy", tx.get(core.Policy, name=READ_ONLY).metadata.uid)
    ships(monkeypatch, changed)
    assert await reseed(resources) == []
    assert resources.peek(core.Policy, name=READ_ONLY) is None


async def test_somebodys_own_object_with_the_name_of_a_new_one_stays(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with resources.transaction() as tx:
        tx.create(core.Policy(metadata=meta.Metadata(name="new")))
    ships(monkeypatch, lambda policies: [*policies, denying("new")])
    assert [one.name for one in await reseed(resources)] == ["new"]
    assert not resources.get(core.Policy, name="new").spec.rules


async def test_nobody_sees_the_record_and_a_damaged_one_is_named(resources: Resources) -> None:
    config = resources.get(core.Config, name=RECORD)
    assert config.metadata.is_system
    assert config.metadata.is_system_hidden
    for text in ("", "[]", "{", '{"Policy/allow-all": 1}', '{"Policy/allow-all": {"shipped": 1}}'):
        async with resources.transaction() as tx:
            config = tx.get(core.Config, name=RECORD)
            config.data.value = text
            tx.update(config)
        with pytest.raises(StoreUnusable, match="sys:built-ins is damaged"):
            await reseed(resources)


def test_what_was_shipped_before_there_was_a_record_is_this_or_older() -> None:
    own = [one for one in seeding.shipped_objects() if not one.metadata.is_system]
    assert set(seeding.BEFORE) <= {seeding.key_of(one) for one in own}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ship"), st.integers(0, 3)),
        st.tuples(st.just("edit"), st.integers(4, 6)),
        st.tuples(st.just("delete"), st.just(0)),
    ),
    max_size=6,
)


@settings(max_examples=500 if SOAK else 30)
@given(STEPS)
async def test_an_edit_is_never_lost_and_what_was_not_edited_is_up_to_date(
    steps: list[tuple[str, int]],
) -> None:
    """Forms 0 to 3 are shipped by versions, 4 to 6 are made by administrators."""
    original = builtin.policies

    def form(number: int) -> Any:
        policy = denying(READ_ONLY)
        policy.spec.rules[0].name = f"form {number}"
        return policy

    with tempfile.TemporaryDirectory(dir=MEMORY) as folder, pytest.MonkeyPatch.context() as patch:
        async with opened(Path(folder)) as resources:
            async with resources.transaction() as tx:
                seeding.seed(tx)
            expected: int | None = -1
            for what, number in steps:
                if what == "ship":
                    policies = [*original()]
                    policies = [
                        each for each in policies if seeding.key_of(each) != f"Policy/{READ_ONLY}"
                    ]
                    patch.setattr(builtin, "policies", lambda p=policies, n=number: [*p, form(n)])
                    found = await reseed(resources)
                    if expected is not None and expected < 4:
                        expected = number
                    if expected is None or expected < 4:
                        assert found == []
                    revision = resources.revision
                    assert await reseed(resources) == found
                    assert resources.revision == revision
                elif expected is not None:
                    async with resources.transaction() as tx:
                        policy = tx.get(core.Policy, name=READ_ONLY)
                        if what == "delete":
                            tx.delete("Policy", policy.metadata.uid)
                            expected = None
                        else:
                            policy.spec.CopyFrom(form(number).spec)
                            tx.update(policy)
                            expected = number
                stored = resources.peek(core.Policy, name=READ_ONLY)
                assert (stored is None) == (expected is None)
                if stored is not None and (expected or 0) >= 0:
                    assert stored.spec.rules[0].name == f"form {expected}"


MADE = {
    *("Credential/root-init", "User/root", "Service/demo-nginx.default"),
    *(f"Policy/{name}" for name in ("allow-all", "deny-all", "http-read-only", READ_ONLY)),
    "Policy/octelium-api-full-access",
}


def unedited_ones(resources: Resources) -> set[str]:
    """What is as the Cluster made it, and anybody could delete."""
    uids = unedited(resources)
    return {
        seeding.key_of(message)
        for kind in ("Credential", "Namespace", "Policy", "Service", "User")
        for message in resources.peek_all(kind)
        if message.metadata.uid in uids and not message.metadata.is_system
    }


async def test_what_nobody_has_edited(resources: Resources) -> None:
    assert unedited_ones(resources) == MADE
    async with resources.transaction() as tx:
        credential = tx.get(core.Credential, name="root-init")
        credential.spec.expires_at.seconds += 86400
        tx.update(credential)
        described = tx.get(core.User, name="root")
        described.metadata.description = "the first"
        tx.update(described)
        mine = core.Policy()
        mine.metadata.name = "mine"
        mine.spec.CopyFrom(tx.get(core.Policy, name="allow-all").spec)
        tx.create(mine)
    assert unedited_ones(resources) == MADE
    async with resources.transaction() as tx:
        for kind, name in [("Credential", "root-init"), ("Policy", "deny-all"), ("User", "root")]:
            edited = tx.get(kind, name=name)
            edited.spec.is_disabled = True
            tx.update(edited)
        tx.delete(core.Policy, tx.get(core.Policy, name="http-read-only").metadata.uid)
    edited_ones = {"Credential/root-init", "User/root", "Policy/deny-all"}
    assert unedited_ones(resources) == MADE - edited_ones - {"Policy/http-read-only"}


async def test_the_first_administrator_is_of_the_cluster_s_making(resources: Resources) -> None:
    async with resources.transaction() as tx:
        add_administrator(tx, "admin")
    async with resources.transaction() as tx:
        add_administrator(tx, "ben")
    assert unedited_ones(resources) == {*MADE, "User/admin"}
    # An upgrade does not forget it, nor does it take the person for an object that it ships.
    await reseed(resources)
    assert unedited_ones(resources) == {*MADE, "User/admin"}
    assert differing(resources) == []
    async with resources.transaction() as tx:
        admin = tx.get(core.User, name="admin")
        del admin.spec.authorization.policies[:]
        tx.update(admin)
    assert unedited_ones(resources) == MADE


async def test_an_edited_object_that_an_upgrade_left_is_not_of_the_cluster_s_making(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with resources.transaction() as tx:
        edited = tx.get(core.Policy, name=READ_ONLY)
        edited.spec.is_disabled = True
        tx.update(edited)
    ships(monkeypatch, changed)
    assert [one.name for one in await reseed(resources)] == [READ_ONLY]
    assert unedited_ones(resources) == MADE - {f"Policy/{READ_ONLY}"}
