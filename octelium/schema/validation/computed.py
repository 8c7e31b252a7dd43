"""What the Cluster computes of a resource that a caller has declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.schema import names
from octelium.schema.errors import Invalid
from octelium.schema.kinds import kind_of
from octelium.schema.modes import HTTP_MODES
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.references import reference_to
from octelium.schema.slug import slug
from octelium.schema.validation.identity_provider import issuer_of
from octelium.schema.validation.kubeconfig import parse_kubeconfig
from octelium.schema.validation.secret import value_of
from octelium.schema.validation.upstream import upstream_port, upstream_users
from octelium.schema.validation.user import EMAIL_LABEL, identity_label

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.schema.validation.view import View

_MODE = core.ServiceSpecMode__
_MODE_PORTS = {
    _MODE.SSH: 22,
    _MODE.DNS: 53,
    _MODE.POSTGRES: 5432,
    _MODE.MYSQL: 3306,
    _MODE.SOCKS5: 1080,
}
_WEB_PORT_MODES = frozenset({_MODE.HTTP, _MODE.WEB, _MODE.MCP, _MODE.LLM})
_MANAGED_PORT = 8080
_KUBECONFIG_LABEL = "k8s-kubeconfig-url-"
_HOST_USER_LABEL = "host-user-"
_IDENTITY_LABEL = "auth-"


def complete(resource: Any, view: View) -> None:
    """Set the computed fields of a resource that has been validated, in place.

    Computed are the canonical forms of names and issuer URLs, the references, host names, port and
    type in `status`, and the index labels in `metadata.specLabels`. Other parts of `status` are
    left as they are.
    """
    resource.spec.SetInParent()
    resource.status.SetInParent()
    compute = _COMPUTATIONS.get(kind_of(resource).name)
    if compute is not None:
        compute(resource, view)


def service_port(service: core.Service) -> int:
    """The port at which a Service listens.

    Raises Invalid at `spec.port` when it follows from nothing.
    """
    spec = service.spec
    if spec.port:
        return spec.port
    if spec.config.ssh.e_ssh_mode:
        return 22
    if service.status.HasField("managed_service"):
        return _MANAGED_PORT
    for config in (spec.config, *spec.dynamic_config.configs):
        port = upstream_port(config.upstream)
        if port is not None:
            if spec.mode in HTTP_MODES and not spec.is_tls and port == 443:
                return 80
            return port
    if spec.mode in _WEB_PORT_MODES:
        return 443 if spec.is_tls else 80
    if spec.mode in _MODE_PORTS:
        return _MODE_PORTS[spec.mode]
    raise Invalid("spec.port", "follows neither from the upstream nor from the mode", "give a port")


def _complete_service(service: core.Service, view: View) -> None:
    service.metadata.name = names.full_service_name(service.metadata.name)
    name, namespace_name = names.split_service_name(service.metadata.name)
    status = service.status
    if service.spec.mode == _MODE.RDP_WEB:
        status.managed_service.type = "wrdpgw"
    namespace = view.get("Namespace", namespace_name)
    if namespace is not None:
        status.namespace_ref.CopyFrom(reference_to(namespace))
    region = view.get("Region", service.spec.region or names.DEFAULT_REGION)
    if region is not None:
        status.region_ref.CopyFrom(reference_to(region))
    primary, additional = names.hostnames(name, namespace_name)
    status.primary_hostname = primary
    del status.additional_hostnames[:]
    status.additional_hostnames.extend(additional)
    status.port = service_port(service)
    _forget_labels(service, (_HOST_USER_LABEL, _KUBECONFIG_LABEL))
    labels = service.metadata.spec_labels
    for config in (service.spec.config, *service.spec.dynamic_config.configs):
        for user_name in upstream_users(config.upstream):
            user = view.get("User", user_name)
            if user is not None:
                labels[_HOST_USER_LABEL + user_name] = user.metadata.uid
        chosen = config.kubernetes.kubeconfig
        secret = view.get("Secret", chosen.from_secret) if chosen.from_secret else None
        if secret is not None:
            path = "spec.config.kubernetes.kubeconfig.fromSecret"
            parsed = parse_kubeconfig(value_of(secret.data), chosen.context, path)
            labels[_KUBECONFIG_LABEL + (config.name or "default")] = parsed.server


def _complete_user(user: core.User, _view: View) -> None:
    _forget_labels(user, (EMAIL_LABEL, _IDENTITY_LABEL))
    labels = user.metadata.spec_labels
    if user.spec.email:
        labels[EMAIL_LABEL] = slug(user.spec.email)
    for identity in user.spec.authentication.identities:
        labels[identity_label(identity.identity_provider)] = slug(identity.identifier)


def _complete_policy(policy: core.Policy, view: View) -> None:
    parent_name = names.parent_policy_name(policy.metadata.name)
    parent = view.get("Policy", parent_name) if parent_name is not None else None
    if parent is not None:
        policy.status.parent_policy_ref.CopyFrom(reference_to(parent))


def _complete_credential(credential: core.Credential, view: View) -> None:
    user = view.get("User", credential.spec.user)
    if user is not None:
        credential.status.user_ref.CopyFrom(reference_to(user))


_PROVIDER_TYPES = {
    "github": core.IdentityProviderStatusType__.GITHUB,
    "oidc": core.IdentityProviderStatusType__.OIDC,
    "saml": core.IdentityProviderStatusType__.SAML,
    "oidc_identity_token": core.IdentityProviderStatusType__.OIDC_IDENTITY_TOKEN,
}


def _complete_identity_provider(provider: core.IdentityProvider, _view: View) -> None:
    kind = provider.spec.WhichOneof("type")
    issuer = issuer_of(provider.spec)
    if issuer is not None and kind == "oidc":
        provider.spec.oidc.issuer_url = issuer
    elif issuer is not None:
        provider.spec.oidc_identity_token.issuer_url = issuer
    if kind is not None:
        provider.status.type = _PROVIDER_TYPES[kind]


def _complete_cluster_config(config: core.ClusterConfig, _view: View) -> None:
    config.metadata.name = "default"


def _forget_labels(resource: Any, prefixes: tuple[str, ...]) -> None:
    labels = resource.metadata.spec_labels
    for label in [label for label in labels if label.startswith(prefixes)]:
        del labels[label]


_COMPUTATIONS: dict[str, Callable[[Any, View], None]] = {
    "Service": _complete_service,
    "User": _complete_user,
    "Policy": _complete_policy,
    "Credential": _complete_credential,
    "IdentityProvider": _complete_identity_provider,
    "ClusterConfig": _complete_cluster_config,
}
