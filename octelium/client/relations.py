"""What belongs to a resource: what it uses, and what uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.client.errors import ApiError
from octelium.schema.jsonform import to_json
from octelium.schema.kinds import KINDS, Kind
from octelium.schema.names import parent_policy_name, public_hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from octelium.client.resources import Resources

    Relation = tuple[str, list[str]]

_ATTACHING = (
    "Service",
    "Namespace",
    "Group",
    "User",
    "Credential",
    "Session",
    "Device",
    "ClusterConfig",
)
_WITH_SECRETS = ("Service", "IdentityProvider", "ClusterConfig")


class Neighbourhood:
    """Looks up the resources around one; each kind is listed once.

    What the caller may not list is remembered in `hidden` instead of being an error.
    """

    def __init__(self, resources: Resources, domain: str) -> None:
        self.domain = domain
        self.hidden: list[str] = []
        self._resources = resources
        self._lists: dict[tuple[str, str], list[Any]] = {}

    def of(self, kind: Kind, item: Any) -> list[Relation]:
        """Labels and names, in the order in which they are to be shown. Raises ApiError."""
        finders = _FINDERS.get(kind.name, ())
        found = [relation for finder in finders for relation in finder(self, item)]
        return [(label, names) for label, names in found if names]

    def all(self, kind_name: str, **filters: str) -> list[Any]:
        """All resources of a kind that the caller may see."""
        key = (kind_name, str(sorted(filters.items())))
        if key not in self._lists:
            try:
                self._lists[key] = list(self._resources.list_all(KINDS[kind_name], **filters))
            except ApiError as error:
                if error.code not in ("PERMISSION_DENIED", "UNIMPLEMENTED", "NOT_FOUND"):
                    raise
                if error.code != "NOT_FOUND":  # a singleton that is not there
                    self.hidden.append(KINDS[kind_name].plural)
                self._lists[key] = []
        return self._lists[key]

    def marked(self, kind_name: str, names: Iterable[str]) -> list[str]:
        """The names, those that do not exist marked as missing."""
        wanted = list(dict.fromkeys(names))
        if not wanted:
            return []
        known = {item.metadata.name for item in self.all(kind_name)}
        if KINDS[kind_name].plural in self.hidden:
            return wanted
        return [name if name in known else f"{name} (missing)" for name in wanted]


def _own_policies(around: Neighbourhood, item: Any) -> Iterator[Relation]:
    authorization = item.spec.authorization
    yield "Policies", around.marked("Policy", authorization.policies)
    inline = [policy.name or "(without a name)" for policy in authorization.inline_policies]
    yield "Inline policies", inline


def _secrets(around: Neighbourhood, item: Any) -> Iterator[Relation]:
    yield "Secrets", around.marked("Secret", secret_names(item))


def _service(around: Neighbourhood, item: Any) -> Iterator[Relation]:
    if item.spec.is_public:
        yield "Host names", list(public_hosts(item.metadata.name, around.domain))
    namespace = item.status.namespace_ref.name or item.metadata.name.partition(".")[2]
    yield "Namespace", [namespace]
    for other in around.all("Namespace"):
        if other.metadata.name == namespace:
            policies = other.spec.authorization.policies
            yield "Policies of the Namespace", around.marked("Policy", policies)


def _namespace(around: Neighbourhood, item: Any) -> Iterator[Relation]:
    yield "Services", _names(around.all("Service", namespace=item.metadata.name))


def _user(around: Neighbourhood, item: Any) -> Iterator[Relation]:
    name = item.metadata.name
    yield "Groups", around.marked("Group", item.spec.groups)
    inherited = [
        policy
        for group in around.all("Group")
        if item.spec.groups and group.metadata.name in item.spec.groups
        for policy in group.spec.authorization.policies
    ]
    yield "Policies of the Groups", around.marked("Policy", inherited)
    yield "Credentials", _names(around.all("Credential", user=name))
    yield "Sessions", _names(around.all("Session", user=name))
    yield "Devices", _names(around.all("Device", user=name))
    yield "Authenticators", _names(around.all("Authenticator", user=name))


def _group(around: Neighbourhood, item: Any) -> Iterator[Relation]:
    users = around.all("User")
    yield "Members", _names(user for user in users if item.metadata.name in user.spec.groups)


def _policy(around: Neighbourhood, item: Any) -> Iterator[Relation]:
    name = item.metadata.name
    parent = parent_policy_name(name)
    if parent:
        yield "Parent", around.marked("Policy", [parent])
    others = around.all("Policy")
    yield "Children", [other for other in _names(others) if parent_policy_name(other) == name]
    for kind_name, attached in _referring(around, "Policy", name):
        yield f"Attached to {KINDS[kind_name].plural}", attached


def _owner(around: Neighbourhood, item: Any) -> Iterator[Relation]:  # noqa: ARG001
    status = item.status
    for label, field in (("User", "user_ref"), ("Device", "device_ref")):
        if field in status.DESCRIPTOR.fields_by_name and getattr(status, field).name:
            yield label, [getattr(status, field).name]


def _session(around: Neighbourhood, item: Any) -> Iterator[Relation]:  # noqa: ARG001
    yield "Credential", [item.status.credential_ref.name] if item.status.credential_ref.name else []


def _sessions_by(field: str) -> Callable[[Neighbourhood, Any], Iterator[Relation]]:
    def find(around: Neighbourhood, item: Any) -> Iterator[Relation]:
        uid = item.metadata.uid
        sessions = around.all("Session", user=item.status.user_ref.name)
        yield "Sessions", _names(s for s in sessions if getattr(s.status, field).uid == uid)

    return find


def _used(kind_name: str) -> Callable[[Neighbourhood, Any], Iterator[Relation]]:
    def find(around: Neighbourhood, item: Any) -> Iterator[Relation]:
        for user_kind, users in _referring(around, kind_name, item.metadata.name):
            yield f"Used by {KINDS[user_kind].plural}", users

    return find


def _identity_provider(around: Neighbourhood, item: Any) -> Iterator[Relation]:
    name = item.metadata.name
    users = (
        user
        for user in around.all("User")
        if any(i.identity_provider == name for i in user.spec.authentication.identities)
    )
    yield "Users", _names(users)


def _region(around: Neighbourhood, item: Any) -> Iterator[Relation]:
    yield "Gateways", _names(around.all("Gateway", region=item.metadata.name))


_FINDERS: dict[str, tuple[Callable[[Neighbourhood, Any], Iterator[Relation]], ...]] = {
    "Authenticator": (_owner,),
    "ClusterConfig": (_own_policies,),
    "Config": (_used("Config"),),
    "Credential": (_owner, _own_policies, _sessions_by("credential_ref")),
    "Device": (_owner, _own_policies, _sessions_by("device_ref")),
    "Group": (_own_policies, _group),
    "IdentityProvider": (_secrets, _identity_provider),
    "Namespace": (_own_policies, _namespace),
    "Policy": (_policy,),
    "Region": (_region,),
    "Secret": (_used("Secret"),),
    "Service": (_service, _own_policies, _secrets),
    "Session": (_owner, _session, _own_policies),
    "User": (_own_policies, _user),
}


REFERRED = frozenset({"Config", "Policy", "Secret"})
"""The kinds that other resources refer to by name and that the API deletes all the same."""


def users_of(around: Neighbourhood, kind: Kind, name: str) -> list[tuple[str, str]]:
    """Kind and name of the resources that refer to one of a kind in `REFERRED`. Raises ApiError."""
    return [(other, user) for other, users in _referring(around, kind.name, name) for user in users]


def secret_names(item: Any) -> list[str]:
    """The Secrets that a resource's spec names, in the order in which they stand there."""
    return _values(item, "fromSecret")


def _referring(around: Neighbourhood, kind_name: str, name: str) -> Iterator[Relation]:
    """By kind, the names of the resources that refer to one of a kind in `REFERRED`."""
    kinds = {"Policy": _ATTACHING, "Secret": _WITH_SECRETS, "Config": ("ClusterConfig",)}
    for other in kinds[kind_name]:
        users = (user for user in around.all(other) if name in _referred(user, kind_name))
        yield other, _names(users)


def _referred(item: Any, kind_name: str) -> Iterable[str]:
    if kind_name == "Policy":
        policies: Iterable[str] = item.spec.authorization.policies
        return policies
    return _values(item, f"from{kind_name}")


def _values(item: Any, key: str) -> list[str]:
    return list(dict.fromkeys(_texts(to_json(item.spec), key)))


def _texts(value: Any, wanted: str) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _texts(entry, wanted)
    elif isinstance(value, dict):
        for key, entry in value.items():
            if key == wanted and isinstance(entry, str):
                yield entry
            else:
                yield from _texts(entry, wanted)


def _names(items: Iterable[Any]) -> list[str]:
    return [item.metadata.name for item in items]
