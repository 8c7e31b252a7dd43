"""`octelium controller`: the command that starts the process which deploys containers."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from pathlib import Path

import click

from octelium.cluster.settings import Address, SettingsError, default_data_dir
from octelium.schema.containers import UPSTREAMS

_MOST_NAME_SERVERS = 3
"""Resolvers ignore more of them (resolv.conf(5))."""
_EPILOG = """\b
Examples:
  octelium controller --socket /run/octelium/feed.sock --health :8481
  octelium up --controller on --controller-socket /run/octelium/feed.sock

It runs in a Pod of Kubernetes, with a token of a service account that may write Deployments,
Services, NetworkPolicies, Secrets and Leases in the namespace of the containers. It waits for the
Cluster, and goes on when that is started again. Of several controllers one writes."""


def _texts(value: str) -> tuple[str, ...]:
    return tuple(part for part in value.replace(",", " ").split() if part)


def _name_servers(_context: click.Context, _option: click.Parameter, value: str) -> tuple[str, ...]:
    texts = _texts(value)
    if not 0 < len(texts) <= _MOST_NAME_SERVERS:
        raise click.BadParameter(f"{value!r} are not one to {_MOST_NAME_SERVERS} IP addresses")
    try:
        return tuple(str(ipaddress.ip_address(text)) for text in texts)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _networks(_context: click.Context, _option: click.Parameter, value: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(text)) for text in _texts(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _health(_context: click.Context, _option: click.Parameter, value: str | None) -> Address | None:
    try:
        return Address.parse(value, "--health") if value else None
    except SettingsError as error:
        raise click.BadParameter(str(error)) from error


@click.command(
    "controller", short_help="Deploy the containers of Services on Kubernetes.", epilog=_EPILOG
)
@click.option(
    "--socket",
    "place",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="OCTELIUM_CONTROLLER_SOCKET",
    help="Where `octelium up --controller on` listens. Default: in the usual data directory"
    " [OCTELIUM_CONTROLLER_SOCKET].",
)
@click.option(
    "--namespace",
    default=UPSTREAMS,
    envvar="OCTELIUM_UPSTREAMS_NAMESPACE",
    help=f"Namespace of the containers. Default {UPSTREAMS} [OCTELIUM_UPSTREAMS_NAMESPACE].",
)
@click.option(
    "--identity",
    metavar="NAME",
    envvar="POD_NAME",
    help="Its name among several controllers. Default: the machine's [POD_NAME].",
)
@click.option(
    "--health",
    metavar="ADDR:PORT",
    callback=_health,
    help="Address of /healthz, /readyz and /metrics. Default: none.",
)
@click.option(
    "--dns",
    metavar="IP[,IP]",
    default="8.8.8.8,1.1.1.1",
    envvar="OCTELIUM_UPSTREAMS_DNS",
    callback=_name_servers,
    help="Name servers of the containers. Default 8.8.8.8,1.1.1.1 [OCTELIUM_UPSTREAMS_DNS].",
)
@click.option(
    "--refuse",
    metavar="NETWORK[,NETWORK]",
    default="",
    envvar="OCTELIUM_UPSTREAMS_REFUSE",
    callback=_networks,
    help="What containers may not reach, besides everything that is not public, such as the"
    " machine's own addresses [OCTELIUM_UPSTREAMS_REFUSE].",
)
@click.option(
    "--account",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="OCTELIUM_SERVICE_ACCOUNT",
    help="Folder of the service account's token and ca.crt. Default: where Kubernetes mounts them"
    " [OCTELIUM_SERVICE_ACCOUNT].",
)
def controller(
    place: Path | None,
    namespace: str,
    identity: str | None,
    health: Address | None,
    dns: tuple[str, ...],
    refuse: tuple[str, ...],
    account: Path | None,
) -> None:
    """Keep the containers that Services have as upstreams, until SIGTERM or Ctrl-C."""
    from octelium.cluster.controller import run
    from octelium.cluster.layout import Layout
    from octelium.cluster.sockets import ListenError
    from octelium.controller.objects.settings import Settings

    try:
        run(
            place or Layout(default_data_dir()).controller,
            namespace=namespace,
            identity=identity or socket.gethostname(),
            health=health,
            objects=Settings(
                namespace=namespace,
                name_servers=dns,
                refused=(*refuse, *_endpoint()),
                no_registries=_services(),
            ),
            account=account,
        )
    except (SettingsError, ListenError, ValueError) as error:
        click.echo(f"octelium controller: {error}", err=True)
        sys.exit(1)


def _endpoint() -> tuple[str, ...]:
    """The address of the Kubernetes API where it is a public one, which containers could reach."""
    try:
        address = ipaddress.ip_address(os.environ.get("KUBERNETES_SERVICE_HOST", ""))
    except ValueError:
        return ()
    return (str(ipaddress.ip_network(address)),) if address.is_global else ()


def _services() -> tuple[str, ...]:
    """The network of Services: the API of Kubernetes has its first address, and 2**16 are usual."""
    try:
        address = ipaddress.ip_address(os.environ.get("KUBERNETES_SERVICE_HOST", ""))
    except ValueError:
        return ()
    length = address.max_prefixlen - (16 if address.is_private else 0)
    return (str(ipaddress.ip_network(f"{address}/{length}", strict=False)),)
