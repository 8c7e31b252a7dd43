"""What Services of HTTP modes configure: retries, plugins, MCP and LLM settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.schema import durations
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.rules import Validator, rule

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST_MESSAGE_TIMEOUT = 6

_WithPlugins = core.ServiceSpecConfigHttp | core.ServiceSpecConfigMcp | core.ServiceSpecConfigLlm

_Plugin = (
    core.ServiceSpecConfigHttpPlugin
    | core.ServiceSpecConfigMcpPlugin
    | core.ServiceSpecConfigLlmPlugin
)


@rule(core.ServiceSpecConfigHttp)
@rule(core.ServiceSpecConfigMcp)
@rule(core.ServiceSpecConfigLlm)
def check_plugins(config: _WithPlugins, path: str, _validator: Validator) -> None:
    """Plugins have names of their own."""
    seen: set[str] = set()
    plugins: Iterable[_Plugin] = config.plugins
    for index, plugin in enumerate(plugins):
        if plugin.name in seen:
            raise Invalid(f"{path}.plugins[{index}].name", f"{plugin.name!r} is given twice")
        seen.add(plugin.name)


@rule(core.ServiceSpecConfigHttpPluginExtProc)
def check_external_processor(
    plugin: core.ServiceSpecConfigHttpPluginExtProc, path: str, _validator: Validator
) -> None:
    """A request does not wait long for an external processor."""
    if durations.milliseconds(plugin.message_timeout) > _LONGEST_MESSAGE_TIMEOUT * 1000:
        raise Invalid(
            f"{path}.messageTimeout", f"is longer than {_LONGEST_MESSAGE_TIMEOUT} seconds"
        )


@rule(core.ServiceSpecConfigMcpProtocol)
def check_versions(
    protocol: core.ServiceSpecConfigMcpProtocol, path: str, _validator: Validator
) -> None:
    """Protocol versions are given once each."""
    for index, version in enumerate(protocol.versions):
        if version in protocol.versions[:index]:
            raise Invalid(f"{path}.versions[{index}]", f"{version!r} is given twice")
