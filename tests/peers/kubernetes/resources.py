"""The kinds of objects that the server has."""

from __future__ import annotations

from dataclasses import dataclass

_ALL = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of objects, as discovery tells it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    returns_deleted: bool = False
    counts_generations: bool = False

    @property
    def api_version(self) -> str:
        """As objects say it: `apps/v1`, `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As messages say it: `deployments.apps`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular(self) -> str:
        """In lower case, as kubectl says it."""
        return self.kind.lower()

    @property
    def verbs(self) -> tuple[str, ...]:
        """What may be asked of it."""
        return _ALL


_SCALED = ("status", "scale")
_AUTH = "rbac.authorization.k8s.io"

RESOURCES: tuple[Resource, ...] = (
    Resource(
        "",
        "v1",
        "namespaces",
        "Namespace",
        namespaced=False,
        short=("ns",),
        subresources=("status", "finalize"),
    ),
    Resource(
        "",
        "v1",
        "pods",
        "Pod",
        short=("po",),
        categories=("all",),
        subresources=("status", "log"),
        returns_deleted=True,
        counts_generations=True,
    ),
    Resource(
        "",
        "v1",
        "services",
        "Service",
        short=("svc",),
        categories=("all",),
        subresources=("status",),
        returns_deleted=True,
    ),
    Resource("", "v1", "secrets", "Secret"),
    Resource("", "v1", "configmaps", "ConfigMap", short=("cm",)),
    Resource(
        "",
        "v1",
        "serviceaccounts",
        "ServiceAccount",
        short=("sa",),
        subresources=("token",),
        returns_deleted=True,
    ),
    Resource("", "v1", "events", "Event", short=("ev",)),
    Resource(
        "",
        "v1",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        short=("pvc",),
        subresources=("status",),
        returns_deleted=True,
    ),
    Resource("", "v1", "limitranges", "LimitRange", short=("limits",)),
    Resource(
        "",
        "v1",
        "resourcequotas",
        "ResourceQuota",
        short=("quota",),
        subresources=("status",),
        returns_deleted=True,
    ),
    Resource(
        "apps",
        "v1",
        "deployments",
        "Deployment",
        short=("deploy",),
        categories=("all",),
        subresources=_SCALED,
        counts_generations=True,
    ),
    Resource(
        "apps",
        "v1",
        "replicasets",
        "ReplicaSet",
        short=("rs",),
        categories=("all",),
        subresources=_SCALED,
        counts_generations=True,
    ),
    Resource(
        "apps",
        "v1",
        "statefulsets",
        "StatefulSet",
        short=("sts",),
        categories=("all",),
        subresources=_SCALED,
        counts_generations=True,
    ),
    Resource(
        "networking.k8s.io",
        "v1",
        "networkpolicies",
        "NetworkPolicy",
        short=("netpol",),
        counts_generations=True,
    ),
    Resource("coordination.k8s.io", "v1", "leases", "Lease"),
    Resource(
        "scheduling.k8s.io",
        "v1",
        "priorityclasses",
        "PriorityClass",
        namespaced=False,
        short=("pc",),
        counts_generations=True,
    ),
    Resource(_AUTH, "v1", "roles", "Role"),
    Resource(_AUTH, "v1", "rolebindings", "RoleBinding"),
)
"""All that can be stored."""


def named(group: str, plural: str) -> Resource | None:
    """The one of a path."""
    return _BY_PATH.get((group, plural))


def of_kind(kind: str) -> Resource:
    """The one of a kind, which is unique here."""
    return _BY_KIND[kind]


_BY_PATH = {(one.group, one.plural): one for one in RESOURCES}
_BY_KIND = {one.kind: one for one in RESOURCES}
