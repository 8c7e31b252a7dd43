"""Administration by files on a new Cluster: what is there as files, and the first pruning."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from octelium.schema.kinds import KINDS
from tests.cli.runner import Runner
from tests.e2e.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = """\
kind: Policy
metadata: {name: staff}
spec: {rules: [{effect: ALLOW, condition: {match: '"ops" in ctx.user.spec.groups'}}]}
---
kind: Namespace
metadata: {name: prod, labels: {tier: "1"}}
spec: {}
---
kind: Group
metadata: {name: ops}
spec: {authorization: {policies: [staff]}}
---
kind: IdentityProvider
metadata: {name: ci, displayName: "CI: jobs"}
spec: {oidcIdentityToken: {issuerURL: "https://ci.example.com"}}
---
kind: User
metadata: {name: ann}
spec: {type: HUMAN, email: ann@example.com, groups: [ops], session: {clientDuration: {hours: 8}}}
---
kind: Service
metadata: {name: wiki.prod}
spec:
  mode: WEB
  isPublic: true
  config: {upstream: {url: "http://127.0.0.1:1"}}
---
kind: Credential
metadata: {name: ann-key}
spec: {type: AUTH_TOKEN, user: ann}
"""
LISTED = [
    kind.name
    for kind in KINDS.values()
    if kind.declarable and not kind.has_data and not kind.singleton
]
DATA = """\
kind: Secret
metadata: {name: key}
spec: {}
data: {value: s3cret}
---
kind: Config
metadata: {name: table}
spec: {}
data: {value: a}
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A new Cluster with an administrator, for this module alone: it is pruned."""
    made = Cluster(tmp_path_factory.mktemp("files"), workers=1)
    try:
        made.start()
        made.login()
        made.run("octops", "invite", "admin", "--administrator", "--data-dir", str(made.data))
        yield made
    finally:
        made.remove()


@pytest.fixture
def terminal(
    fresh: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Runner:
    """The terminal of whoever has the first token, with the files applied."""
    made = Runner(fresh.base_environment(), capsys, monkeypatch, now=time.time())
    made.works("apply", "-", stdin=FILES)
    return made


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_what_get_writes_is_what_apply_reads(terminal: Runner, form: str) -> None:
    texts = [terminal.works("get", kind.lower(), "-o", form) for kind in LISTED]
    texts.append(terminal.works("get", "clusterconfig", "-o", form))
    applied = terminal.works("apply", "-", stdin="\n---\n".join(texts))
    listed = [json.loads(terminal.works("get", kind.lower(), "-o", "json")) for kind in LISTED]
    assert [one["kind"] for one in listed] == [f"{name}List" for name in LISTED]
    count = sum(len(one["items"]) for one in listed) + 1
    assert applied == f"Nothing changed: {count} resources as the files say.\n"


def test_an_edited_list_updates_what_was_edited(terminal: Runner) -> None:
    users = json.loads(terminal.works("get", "users", "-o", "json"))
    (ann,) = (user for user in users["items"] if user["metadata"]["name"] == "ann")
    ann["metadata"].update(displayName="Ann", resourceVersion=ann["metadata"]["uid"])
    ann["status"] = {}
    out = terminal.works("apply", "-", stdin=json.dumps(users))
    assert out.startswith("User: ann Updated  metadata.displayName\n1 updated, ")
    ann["spec"]["emial"] = "a@b.test"
    refused = terminal.ctl("apply", "-", stdin=json.dumps(users))
    assert refused.code == 1
    assert f"items[{users['items'].index(ann)}].spec.emial: unknown field" in refused.err


def test_lists_without_their_data_are_refused(terminal: Runner) -> None:
    terminal.works("apply", "--include-secret", "-", stdin=DATA)
    for kind in ("secret", "config"):
        text = terminal.works("get", kind, "-o", "yaml")
        done = terminal.ctl("apply", "--include-secret", "-", stdin=text)
        assert done.code == 1
        assert "data: is missing" in done.err
    terminal.works("delete", "secret", "key")
    terminal.works("delete", "config", "table")


def test_the_first_pruning_locks_nobody_out(fresh: Cluster, terminal: Runner) -> None:
    text = terminal.works("get", "policy", "deny-all", "-o", "yaml")
    text = text.replace("effect: DENY", "effect: DENY\n    priority: 1")
    terminal.works("apply", "-", stdin=text)
    mine = "kind: Policy\nmetadata: {name: mine}\nspec: {rules: []}\n"
    for words in (("--dry-run",), ()):
        done = terminal.ctl("apply", "--prune", "-", *words, stdin=mine)
        assert done.code == 0
        assert "Policy: deny-all Deleted" in done.out  # somebody has edited it
        assert "User: ann Deleted" in done.out
        assert done.err == (
            "Not pruned: Credential root-init, User root (your own); "
            "Service demo-nginx.default, User admin, Policy allow-all, octelium-api-full-access, "
            "octelium-api-read-only, http-read-only "
            "(the Cluster began with it; --prune-builtin deletes it).\n"
        )
    fresh.login()  # by the first token, anew
    users = terminal.works("get", "users", "-o", "name").split()
    assert sorted(users) == ["user/admin", "user/octelium", "user/root"]

    done = terminal.ctl("apply", "--prune", "--prune-builtin", "-", stdin=mine)
    assert "User: admin Deleted" in done.out
    assert "Policy: allow-all Deleted" in done.out
    assert done.err == "Not pruned: Credential root-init, User root (your own).\n"
    assert "user/root" in terminal.works("get", "users", "-o", "name")
