from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from octelium.schema.documents import parse_documents
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.cli.runner import Runner, resource
from tests.client.owners import home
from tests.client.standin import RefusedError

if TYPE_CHECKING:
    from tests.client.standin import StandIn


TABLE = """\
NAME  GROUPS  TYPE      AGE   EMAIL         DISABLED
ann   ops     HUMAN     60m   ann@lab.test  no
bob   -       WORKLOAD  120m  -             yes
"""

JSON = """\
{
    "apiVersion": "core/v1",
    "kind": "UserList",
    "items": [
        {
            "apiVersion": "core/v1",
            "kind": "User",
            "metadata": {
                "uid": "00000000-0000-4000-8000-000000000001",
                "name": "ann",
                "createdAt": "2027-01-15T07:00:00Z",
                "resourceVersion": "1-1"
            },
            "spec": {
                "groups": [
                    "ops"
                ],
                "email": "ann@lab.test",
                "type": "HUMAN"
            },
            "status": {}
        },
        {
            "apiVersion": "core/v1",
            "kind": "User",
            "metadata": {
                "uid": "00000000-0000-4000-8000-000000000002",
                "name": "bob",
                "createdAt": "2027-01-15T06:00:00Z",
                "resourceVersion": "2-1"
            },
            "spec": {
                "type": "WORKLOAD",
                "isDisabled": true
            },
            "status": {}
        }
    ],
    "listResponseMeta": {
        "itemsPerPage": 1000,
        "totalCount": 2
    }
}
"""

YAML = """\
apiVersion: core/v1
kind: User
metadata:
  uid: 00000000-0000-4000-8000-000000000001
  name: ann
  createdAt: '2027-01-15T07:00:00Z'
  resourceVersion: 1-1
spec:
  groups:
  - ops
  email: ann@lab.test
  type: HUMAN
status: {}
"""


@pytest.fixture
def users(cluster: StandIn, terminal: Runner) -> Runner:
    ann = {"type": "HUMAN", "email": "ann@lab.test", "groups": ["ops"]}
    cluster.add(resource("User", "ann", spec=ann))
    cluster.add(resource("User", "bob", spec={"type": "WORKLOAD", "isDisabled": True}))
    return terminal


def test_a_list_is_a_table(users: Runner) -> None:
    assert users.works("get", "users") == TABLE
    assert users.works("list", "usr", "-o", "table") == TABLE


def test_a_list_as_json(users: Runner) -> None:
    assert users.works("get", "users", "-o", "json") == JSON
    assert len(from_json(core.UserList, json.loads(JSON)).items) == 2


def test_one_resource_is_yaml(users: Runner) -> None:
    assert users.works("get", "user", "ann") == YAML
    assert users.works("get", "user/ann", "-o", "yml") == YAML
    (document,) = parse_documents(YAML, "again")
    assert document.message.metadata.name == "ann"


def test_names_for_scripts(users: Runner) -> None:
    assert users.works("get", "users", "-o", "name") == "user/ann\nuser/bob\n"
    assert users.works("get", "user", "bob", "-o", "name") == "user/bob\n"


def test_several_by_name(users: Runner) -> None:
    assert users.works("get", "user", "ann", "bob") == TABLE
    found = json.loads(users.works("get", "user", "bob", "ann", "-o", "json"))
    assert [item["metadata"]["name"] for item in found["items"]] == ["bob", "ann"]
    assert users.works("get", "user", "ann", "-o", "table").splitlines()[1:] == [
        "ann   ops     HUMAN  60m  ann@lab.test  no"
    ]


def test_order_and_pages(cluster: StandIn, users: Runner) -> None:
    for name in ("cyd", "aaa"):
        cluster.add(resource("User", name))
    names = users.works("get", "users", "--order-by-name", "--order-reverse", "-o", "name")
    assert names.split() == ["user/cyd", "user/bob", "user/ann", "user/aaa"]
    page = users.ctl("get", "users", "--items-per-page", "3", "-o", "name")
    assert page.out.split() == ["user/ann", "user/bob", "user/cyd"]
    assert page.err == "Shown: 3 of 4; more with --page 2.\n"
    assert users.works("get", "users", "--items-per-page", "3", "--page", "2", "-o", "name") == (
        "user/aaa\n"
    )
    beyond = users.ctl("get", "users", "--page", "9")
    assert (beyond.code, beyond.out) == (1, "")
    assert beyond.err == "Error: NotFound: there is no page 9\n"


def test_filters(cluster: StandIn, users: Runner) -> None:
    cluster.add(resource("Service", "wiki.prod", spec={"mode": "HTTP"}))
    cluster.add(resource("Service", "wiki"))
    assert users.works("get", "svc", "-n", "prod", "-o", "name") == "service/wiki.prod\n"
    result = users.ctl("get", "users", "--namespace", "prod")
    assert result.code == 1
    assert "users cannot be listed by namespace" in result.err


def test_an_empty_list_is_said_on_stderr(terminal: Runner) -> None:
    result = terminal.ctl("get", "groups")
    assert (result.code, result.out, result.err) == (0, "", "There are no groups.\n")
    assert json.loads(terminal.works("get", "groups", "-o", "json"))["kind"] == "GroupList"
    assert terminal.works("get", "groups", "-o", "name") == ""


def test_the_singleton_needs_no_name(cluster: StandIn, terminal: Runner) -> None:
    cluster.add(resource("ClusterConfig", "default"))
    assert "kind: ClusterConfig" in terminal.works("get", "cc")
    assert terminal.works("get", "clusterconfig", "-o", "name") == "clusterconfig/default\n"


def test_what_does_not_exist(users: Runner) -> None:
    result = users.ctl("get", "user", "ann", "none")
    assert (result.code, result.out) == (1, "")
    assert result.err == "Error: NotFound: core.v1.User none does not exist\n"
    assert users.ctl("get", "usrr").code == 1
    assert users.ctl("get", "users", "-o", "xml").code == 2


def test_control_characters_of_a_resource_do_nothing(cluster: StandIn, terminal: Runner) -> None:
    cluster.add(resource("User", "eve", spec={"email": "\x1b[2J\u202e@lab.test"}))
    for form in ("table", "json"):
        out = terminal.works("get", "users", "-o", form)
        assert "\x1b" not in out
        assert "\u202e" not in out
    assert "\x1b" not in terminal.works("get", "user", "eve")


def test_in_a_home_that_cannot_be_written_to(terminal: Runner, cluster: StandIn) -> None:
    with home() as made:
        terminal.environ["OCTELIUM_HOME"] = str(made.path)
        given = ("--endpoint", cluster.endpoint, "--ca-file", terminal.environ["SSL_CERT_FILE"])
        assert terminal("octelium", "login", *given).code == 0
        words = (("octeliumctl", "get", "users"), ("octelium", "get"), ("octelium", "status"))
        before = [terminal(*each) for each in words]
        assert [result.code for result in before] == [0, 0, 0]
        terminal.environ = {"OCTELIUM_HOME": str(made.path)}
        was = {path.name: path.read_bytes() for path in made.path.iterdir()}
        with made.read_only():
            assert [terminal(*each) for each in words] == before
            terminal.now += cluster.token_life * 0.9
            assert [terminal(*each) for each in words] == before
            terminal.now += cluster.token_life * 0.1
            refused = terminal(*words[0])
        assert refused.code == 1
        assert "has to be renewed: cannot write to" in refused.err
        assert str(made.path) in refused.err
        assert "--homedir" in refused.err
        assert was == {path.name: path.read_bytes() for path in made.path.iterdir()}
        assert cluster.generation == 1
        assert terminal(*words[0]).code == 0


def test_services_with_containers(cluster: StandIn, terminal: Runner) -> None:
    def add(name: str, upstream: dict[str, Any]) -> None:
        spec = {"mode": "HTTP", "config": {"upstream": upstream}}
        cluster.add(resource("Service", name, spec=spec))

    boxed = {"container": {"image": "nginx", "port": 80}}
    add("plain.default", {"url": "http://a"})
    assert "CONTAINER" not in terminal.works("get", "services")
    for name in ("blog.default", "shop.default", "wiki.default"):
        add(name, boxed)
    reply = ext.ListContainersResponse(has_controller=True)
    for name, *reasons in (("blog.default", "Starting", "ErrImagePull"), ("wiki.default", "Bad")):
        item = reply.items.add(service={"name": name})
        for reason in reasons:
            item.containers.add(reason=reason, ready=name == "wiki.default")
    reply.silent_since.seconds = 1
    cluster.insight["ListContainers"] = reply
    result = terminal.ctl("get", "services")
    assert result.code == 0
    lines = [re.split(r"\s{2,}", line) for line in result.out.splitlines()]
    states = {line[0]: line[1] for line in lines}
    assert "the last known ones" in result.err
    assert states == {
        "NAME": "CONTAINER",
        "blog.default": "not ready",
        "shop.default": "-",
        "wiki.default": "ready, hindered",
        "plain.default": "-",
    }
    del cluster.insight["ListContainers"]
    cluster.failures["ListContainers"] = [RefusedError("PERMISSION_DENIED", "no")]
    refused = terminal.ctl("get", "services")
    assert "CONTAINER" not in refused.out
    assert "may not list them: containers" in refused.err
