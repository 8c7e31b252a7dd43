from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from octelium.controller.managed import Opened
from octelium.controller.objects import Desired, Manifest, Settings, desired
from octelium.schema.pb import core_v1_pb2 as core
from tests.controller.objects.samples import (
    CLUSTER,
    CONTAINERS,
    EVERYTHING,
    SECRETS,
    UID,
    managed,
)
from tests.controller.objects.versions import VERSIONS, fault_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import Descriptor


def made(container: dict[str, Any], settings: Settings | None = None, **options: Any) -> Desired:
    return desired(managed(container, **options), CLUSTER, settings or Settings())


def kinds(found: Desired) -> list[str]:
    return [manifest["kind"] for manifest in found.objects]


def of_kind(found: Desired, kind: str) -> Manifest:
    (one,) = (manifest for manifest in found.objects if manifest["kind"] == kind)
    return one


def test_the_order_leaves_no_pod_without_its_policy() -> None:
    assert kinds(made({})) == ["NetworkPolicy", "Service", "Deployment"]
    assert kinds(made(EVERYTHING)) == [
        *("Secret", "Secret", "NetworkPolicy", "Service", "Deployment"),
    ]


def test_every_object_is_named_labelled_and_digested() -> None:
    found = made(EVERYTHING, Settings(namespace="elsewhere"))
    names = [(one["kind"], one["metadata"]["name"]) for one in found.objects]
    assert names == [
        ("Secret", f"{found.name}-env"),
        ("Secret", f"{found.name}-registry"),
        ("NetworkPolicy", found.name),
        ("Service", found.name),
        ("Deployment", found.name),
    ]
    for manifest in found.objects:
        metadata = manifest["metadata"]
        assert metadata["namespace"] == "elsewhere"
        assert metadata["labels"] == {
            "app.kubernetes.io/managed-by": "octelium",
            "octelium.com/cluster": CLUSTER,
            "octelium.com/component": "svc-k8s-upstream",
            "octelium.com/svc-uid": UID,
            "octelium.com/svc-upstream-cfg": "default",
        }
        applied = metadata["annotations"].pop("octelium.com/applied")
        text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
        assert applied == hashlib.sha256(text.encode()).hexdigest()
        assert metadata["annotations"] == {"octelium.com/svc": "web.default"}


def test_the_same_container_is_always_the_same() -> None:
    assert made(EVERYTHING) == made(EVERYTHING)


def test_objects_share_no_parts() -> None:
    found = made(EVERYTHING)
    before = json.dumps(found.objects[:-1])
    found.objects[-1]["metadata"]["labels"].clear()
    found.objects[-1]["spec"]["selector"]["matchLabels"].clear()
    assert json.dumps(found.objects[:-1]) == before


@pytest.mark.parametrize("mode", ["UDP", "WEB"])
@pytest.mark.parametrize("container", [*CONTAINERS.values(), EVERYTHING])
def test_what_cannot_be_changed_never_changes(container: dict[str, Any], mode: str) -> None:
    least, other = made({}), made(container, mode=mode)
    assert other.name == least.name
    was, now = of_kind(least, "Deployment"), of_kind(other, "Deployment")
    assert now["spec"]["selector"] == was["spec"]["selector"]
    labels = now["spec"]["template"]["metadata"]["labels"]
    assert was["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert {one["type"] for one in other.objects if one["kind"] == "Secret"} <= {
        *("Opaque", "kubernetes.io/dockerconfigjson"),
    }


def test_a_changed_secret_rolls_the_pods_and_a_changed_password_of_a_registry_does_not() -> None:
    def template(**changed: bytes) -> Any:
        secrets = {
            name: Opened(opened.uid, name, changed.get(name.replace("-", "_"), opened.data))
            for name, opened in SECRETS.items()
        }
        return of_kind(made(EVERYTHING, secrets=secrets), "Deployment")["spec"]["template"]

    same = template()
    assert template() == same
    assert template(registry=b"new") == same
    rolled = template(db_password=b"new")
    assert rolled["spec"] == same["spec"]
    assert rolled["metadata"]["annotations"] != same["metadata"]["annotations"]


def test_secrets_stand_in_secrets_alone() -> None:
    found = made(EVERYTHING)
    for manifest in found.objects:
        if manifest["kind"] != "Secret":
            text = json.dumps(manifest)
            assert "hunter2" not in text
            assert hashlib.sha256(b"hunter2").hexdigest() not in text


@pytest.mark.parametrize(
    ("container", "secrets", "reasons"),
    [
        (CONTAINERS["env fromSecret"], {}, ["SecretMissing"]),
        (CONTAINERS["credentials"], {}, ["SecretMissing"]),
        (EVERYTHING, {}, ["SecretMissing", "SecretMissing"]),
        ({"env": [{"name": "A", "fromSecret": "gone"}, {"name": "B", "fromSecret": "gone"}]},
         {}, ["SecretMissing"]),
        (CONTAINERS["env fromSecret"], {"db-password": b"\xff"}, ["SecretUnusable"]),
        ({"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}, {}, ["Refused"]),
        ({"image": "NO"}, {}, ["Invalid"]),
    ],
)  # fmt: skip
def test_with_a_problem_only_the_policy_is_made(
    container: dict[str, Any], secrets: dict[str, bytes], reasons: list[str]
) -> None:
    opened = {name: Opened("u", name, data) for name, data in secrets.items()}
    found = made(container, secrets=opened)
    assert found.objects == ()
    assert found.policy is not None
    assert found.policy["spec"] == of_kind(made({}), "NetworkPolicy")["spec"]
    assert [problem.reason for problem in found.problems] == reasons
    assert all(problem.message for problem in found.problems)
    assert found.name == made({}).name


def test_a_cluster_whose_id_is_no_label_is_refused() -> None:
    with pytest.raises(ValueError, match=r"octelium\.com/cluster"):
        desired(managed({}), "a b", Settings())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [*CONTAINERS, "everything"])
def test_the_objects_of_every_field_are_valid_on_every_version(name: str, version: str) -> None:
    for mode in ("WEB", "UDP"):
        for manifest in made(CONTAINERS.get(name, EVERYTHING), mode=mode).objects:
            assert fault_on(manifest, version) == "", manifest["kind"]


def test_a_version_refuses_what_it_does_not_know() -> None:
    manifest = of_kind(made({}), "Deployment")
    manifest["spec"]["template"]["spec"]["privilege"] = True
    for version in VERSIONS:
        assert "privilege" in fault_on(manifest, version)


def test_no_field_of_a_container_is_left_out() -> None:
    """A field that the schema gains must gain a sample."""
    given = {path for sample in (*CONTAINERS.values(), EVERYTHING) for path in _given(sample)}
    known = set(_known(core.ServiceSpecConfigUpstreamContainer.DESCRIPTOR))
    assert known == known & given


def _given(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _given(entry, path)
    elif isinstance(value, dict) and path != "resourceLimit.ext":
        for name, child in value.items():
            yield from _given(child, f"{path}.{name}" if path else name)
    else:
        yield path


def _known(descriptor: Descriptor, path: str = "") -> Iterator[str]:
    for field in descriptor.fields:
        place = f"{path}.{field.json_name}" if path else field.json_name
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            yield place
        else:
            yield from _known(field.message_type, place)
