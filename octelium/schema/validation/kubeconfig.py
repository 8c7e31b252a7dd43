"""Kubeconfigs that Secrets hold (https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/)."""

from __future__ import annotations

from typing import Any, NamedTuple

from octelium.schema import yaml_reader
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.rules import Validator, rule
from octelium.schema.validation.secret import value_of
from octelium.schema.validation.texts import split_url


class Kubeconfig(NamedTuple):
    """The cluster and the user that a context chooses; `server` is the API server's URL."""

    server: str
    cluster: dict[str, Any]
    user: dict[str, Any]


def parse_kubeconfig(text: bytes, context: str, path: str) -> Kubeconfig:
    """What a context of a kubeconfig means; without a context, the current one.

    Raises Invalid at `path` for anything incomplete. Contents are not quoted: they are secret.
    """
    try:
        trees = list(yaml_reader.read(text.decode()))
    except UnicodeDecodeError:
        raise Invalid(path, "the Secret holds no kubeconfig: it is not text") from None
    if len(trees) != 1 or trees[0].faults or not isinstance(trees[0].value, dict):
        raise Invalid(path, "the Secret holds no kubeconfig: it is not one YAML object")
    content = trees[0].value
    name = context or content.get("current-context")
    chosen = _named(content, "contexts", "context", name, path)
    cluster = _named(content, "clusters", "cluster", chosen.get("cluster"), path)
    user = _named(content, "users", "user", chosen.get("user"), path)
    server = cluster.get("server")
    if not isinstance(server, str):
        raise Invalid(path, "the kubeconfig's cluster has no server")
    split_url(server, path)
    return Kubeconfig(server, cluster, user)


def _named(content: dict[str, Any], group: str, part: str, name: Any, path: str) -> dict[str, Any]:
    entries = content.get(group)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and name is not None and entry.get("name") == name:
            found = entry.get(part)
            if isinstance(found, dict):
                return found
    raise Invalid(path, f"the kubeconfig has no {part} {name!r}")


@rule(core.ServiceSpecConfigKubernetesKubeconfig)
def check_kubeconfig(
    spec: core.ServiceSpecConfigKubernetesKubeconfig, path: str, validator: Validator
) -> None:
    """The Secret holds a kubeconfig with the chosen context."""
    secret = None if validator.view is None else validator.view.get("Secret", spec.from_secret)
    if secret is not None:
        parse_kubeconfig(value_of(secret.data), spec.context, f"{path}.fromSecret")
