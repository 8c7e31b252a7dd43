"""The kinds of objects that the controller makes or follows, and where the API has them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of a namespaced object."""

    api_version: str
    """ "v1", "apps/v1"."""
    name: str
    """ "Deployment"."""
    plural: str
    """Its part of the path."""

    def path(self, namespace: str, name: str = "") -> str:
        """Path of the collection in `namespace`, or of the object called `name`."""
        root = "api" if "/" not in self.api_version else "apis"
        path = f"/{root}/{self.api_version}/namespaces/{namespace}/{self.plural}"
        return f"{path}/{name}" if name else path


DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
SERVICE = Kind("v1", "Service", "services")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
SECRET = Kind("v1", "Secret", "secrets")
POD = Kind("v1", "Pod", "pods")
EVENT = Kind("v1", "Event", "events")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")

OWNED = (DEPLOYMENT, SERVICE, NETWORK_POLICY, SECRET)
"""Kinds that the controller writes."""

_BY_NAME = {(kind.api_version, kind.name): kind for kind in OWNED}


def kind_of(value: dict[str, object]) -> Kind:
    """Kind of an object that the controller is to write.

    Raises ValueError for any other kind.
    """
    found = _BY_NAME.get((str(value.get("apiVersion")), str(value.get("kind"))))
    if found is None:
        raise ValueError(
            f"the controller writes no {value.get('kind')!r} of {value.get('apiVersion')!r}"
        )
    return found
