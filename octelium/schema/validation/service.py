"""Services as wholes: mode, exposure, configs and how they fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema import names
from octelium.schema.dns_servers import REMEDY, parse_dns_server
from octelium.schema.errors import Invalid
from octelium.schema.modes import ANONYMOUS_MODES, HTTP_MODES, mode_name
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.computed import service_port
from octelium.schema.validation.rules import Validator, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODE = core.ServiceSpecMode__
RESERVED_PORTS = frozenset({49094, 49095})

_CONFIG_MODES = {
    "http": {_MODE.HTTP, _MODE.WEB, _MODE.GRPC},
    "kubernetes": {_MODE.KUBERNETES},
    "ssh": {_MODE.SSH},
    "postgres": {_MODE.POSTGRES},
    "mysql": {_MODE.MYSQL},
    "socks5": {_MODE.SOCKS5},
    "rdp": {_MODE.RDP_WEB, _MODE.RDP},
    "mcp": {_MODE.MCP},
    "llm": {_MODE.LLM},
}


@rule(core.Service)
def check_service(service: core.Service, _path: str, validator: Validator) -> None:
    """The rules that concern more than one field of a Service."""
    _check_place(service, validator)
    _check_exposure(service.spec)
    _check_configs(service)
    port = service_port(service)
    if port in RESERVED_PORTS:
        raise Invalid("spec.port", f"the port {port} is reserved", "choose another port")


def _check_place(service: core.Service, validator: Validator) -> None:
    """Its Namespace exists, and its public host name is not that of a Namespace."""
    name, namespace = names.split_service_name(service.metadata.name)
    validator.reference("Namespace", namespace, "metadata.name")
    if (
        namespace == names.DEFAULT_NAMESPACE
        and validator.old is None
        and validator.view is not None
        and validator.view.get("Namespace", name) is not None
    ):
        raise Invalid(
            "metadata.name",
            f"the Namespace {name!r} has the same host name",
            "choose another name or another Namespace",
        )


def _check_exposure(spec: core.ServiceSpec) -> None:
    mode = mode_name(spec.mode)
    if spec.is_public and spec.mode not in HTTP_MODES:
        raise Invalid("spec.isPublic", f"a Service of mode {mode} cannot be public")
    if spec.is_anonymous:
        if not spec.is_public:
            raise Invalid("spec.isAnonymous", "needs isPublic", "add isPublic: true")
        if spec.mode not in ANONYMOUS_MODES:
            raise Invalid("spec.isAnonymous", f"a Service of mode {mode} cannot be anonymous")
        if spec.HasField("authorization") and not spec.authorization.enable_anonymous:
            raise Invalid(
                "spec.authorization",
                "an anonymous Service asks nobody who they are",
                "remove it, or add enableAnonymous: true to apply it to anonymous requests",
            )
    elif spec.authorization.enable_anonymous:
        raise Invalid("spec.authorization.enableAnonymous", "needs isAnonymous")


def configs_of(spec: core.ServiceSpec) -> Iterator[tuple[core.ServiceSpecConfig, str]]:
    """Every config of a Service with its path, the default one first."""
    if spec.HasField("config"):
        yield spec.config, "spec.config"
    for index, config in enumerate(spec.dynamic_config.configs):
        yield config, f"spec.dynamicConfig.configs[{index}]"


def _check_configs(service: core.Service) -> None:
    spec = service.spec
    managed = service.status.HasField("managed_service")
    if not managed and not spec.HasField("config") and not spec.HasField("dynamic_config"):
        raise Invalid("spec.config", "is missing", "give the Service an upstream")
    if spec.config.name not in {"", names.DEFAULT_NAMESPACE}:
        raise Invalid("spec.config.name", "the default config is named default or not at all")
    if spec.config.parent:
        raise Invalid("spec.config.parent", "the default config inherits from nothing")
    for config, path in configs_of(spec):
        check_mode(config, spec.mode, path)
        if spec.mode == _MODE.DNS:
            _check_dns_servers(config.upstream, f"{path}.upstream")
    if spec.HasField("dynamic_config"):
        _check_dynamic(spec.dynamic_config, "spec.dynamicConfig")


def _check_dns_servers(upstream: core.ServiceSpecConfigUpstream, path: str) -> None:
    """Upstreams of mode DNS are servers that questions can be sent to."""
    urls = [(upstream.url, f"{path}.url")] if upstream.url else []
    for index, endpoint in enumerate(upstream.loadbalance.endpoints):
        urls.append((endpoint.url, f"{path}.loadbalance.endpoints[{index}].url"))
    for url, place in urls:
        try:
            parse_dns_server(url)
        except ValueError as error:
            raise Invalid(place, str(error), REMEDY) from None


def check_mode(config: core.ServiceSpecConfig, mode: int, path: str) -> None:
    """Refuse the settings of another mode."""
    form = config.WhichOneof("type")
    if form is not None and mode not in _CONFIG_MODES[form]:
        fitting = " and ".join(sorted(mode_name(number) for number in _CONFIG_MODES[form]))
        raise Invalid(
            f"{path}.{form}",
            f"does not fit the mode {mode_name(mode)}",
            f"it is for {fitting}",
        )


def _check_dynamic(dynamic: core.ServiceSpecDynamicConfig, path: str) -> None:
    computed = any(rule.WhichOneof("type") in {"eval", "opa"} for rule in dynamic.rules)
    if not dynamic.configs and not computed:
        raise Invalid(path, "chooses between nothing", "add configs, or rules with eval or opa")
    known = {names.DEFAULT_NAMESPACE}
    for index, config in enumerate(dynamic.configs):
        place = f"{path}.configs[{index}]"
        if not config.name:
            raise Invalid(f"{place}.name", "is missing")
        if config.name in known:
            raise Invalid(f"{place}.name", f"{config.name!r} is given twice or reserved")
        known.add(config.name)
    for index, config in enumerate(dynamic.configs):
        if config.parent and (config.parent == config.name or config.parent not in known):
            place = f"{path}.configs[{index}].parent"
            raise Invalid(place, f"there is no other config {config.parent!r}")
    for index, rule_ in enumerate(dynamic.rules):
        if rule_.WhichOneof("type") == "config_name" and rule_.config_name not in known:
            place = f"{path}.rules[{index}].configName"
            raise Invalid(place, f"there is no config {rule_.config_name!r}")
