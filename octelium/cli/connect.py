"""`octelium connect`: join the private network of a Cluster."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from octelium.cli.proving import chosen_proof
from octelium.cli.verb import verb
from octelium.cli.words import PUBLICATION, each
from octelium.client.settings import is_true

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation
    from octelium.client.api import Authorized
    from octelium.client.dns.wanted import NamesWanted
    from octelium.client.tunnel.control import Place
    from octelium.client.tunnel.device import Tunnel
    from octelium.client.tunnel.names import NameService
    from octelium.client.tunnel.side import Side
    from octelium.client.tunnel.wanted import Wanted
    from octelium.tunnel.engines.choose import Choice

_LATER = {
    "essh": "--essh",
    "essh_user": "--essh-user",
    "esocks5": "--esocks5",
}
_VARIABLES = {
    "OCTELIUM_ESSH": "--essh",
    "OCTELIUM_ESOCKS5": "--esocks5",
    "OCTELIUM_QUIC": "--tunnel-mode quicv0",
}


@verb(
    example="""
    {program} connect --domain example.com
    {program} connect -p wiki:8080 -p db.ops:127.0.0.1:5432
    {program} connect --serve-all --auth-token TOKEN
    {program} connect -d && curl http://wiki.local.example.com
    """
)
@click.option(
    "-p",
    "--publish",
    metavar="SERVICE[.NAMESPACE][:ADDRESS]:PORT",
    type=PUBLICATION,
    multiple=True,
    callback=each,
    help="Have a port of this host lead to a Service; repeatable.",
)
@click.option(
    "--serve",
    metavar="SERVICE",
    multiple=True,
    callback=each,
    help="Serve a Service whose upstream names this User; repeatable.",
)
@click.option("--serve-all", is_flag=True, help="Serve all such Services.")
@click.option("-d", "--detach", is_flag=True, help="In the background, once it works.")
@click.option(
    "--ip-mode",
    type=click.Choice(("v4", "v6", "both")),
    help="Address families within the tunnel; by itself both, if the Cluster has them.",
)
@click.option(
    "--implementation",
    type=click.Choice(("auto", "kernel", "tun", "gvisor")),
    default="auto",
    show_default=True,
    help="tun: a device of this host, as root. gvisor: nothing of this host changes, and only -p "
    "and --serve work. auto: the first for root, or else the second. Both need a /dev/net/tun that "
    "this user may open (root: modprobe tun, chmod 0666 /dev/net/tun).",
)
@click.option(
    "--engine",
    type=click.Choice(("auto", "own", "wireguard-go")),
    default="auto",
    show_default=True,
    help="What encrypts the tunnel; by itself the fastest that is there.",
)
@click.option(
    "--allow-range",
    "allowed",
    metavar="CIDR",
    multiple=True,
    callback=each,
    help="Let the Cluster have these addresses though they are not private: whoever has them "
    "otherwise cannot be reached from here meanwhile, and what is sent there goes to the Cluster; "
    "repeatable.",
)
@click.option("--no-dns", is_flag=True, help="Leave this host's resolver alone.")
@click.option(
    "--dns-zone",
    "dns_zones",
    metavar="DOMAIN",
    multiple=True,
    callback=each,
    help="A domain that the Cluster's name servers are asked for, too; repeatable.",
)
@click.option(
    "--localdns",
    is_flag=True,
    help="A name server for this host's programs at 127.0.0.100 port 53, in any case "
    "[OCTELIUM_LOCAL_DNS_SERVER].",
)
@click.option("--localdns-addr", metavar="IP[:PORT]", help="The same, elsewhere.")
@click.option(
    "--tunnel-mode",
    type=click.Choice(("wg", "wireguard", "quicv0")),
    default="wg",
    help="WireGuard; quicv0 is not offered yet.",
)
@click.option(
    "--auth-token", metavar="TOKEN", help="Authentication token [OCTELIUM_AUTH_TOKEN]; `-`: stdin."
)
@click.option(
    "--assertion", metavar="[IDP:]TYPE[:K=V,...]", help="Token of a platform, as for login."
)
@click.option(
    "--scope", "scopes", metavar="SCOPE", multiple=True, callback=each, help="Limit the Session."
)
@click.option("--essh", is_flag=True, help="Not offered yet.")
@click.option("--essh-user", metavar="USER", help="Not offered yet.")
@click.option("--esocks5", is_flag=True, help="Not offered yet.")
def connect(invocation: Invocation, **options: Any) -> int | None:
    """Join the private network of a Cluster.

    As root, every Service is at hand by its private name and address, for all programs of this
    host: names of the Cluster are looked up there, and all others where they were. For others
    nothing of the host changes: Services are reached by the ports that -p gives, which needs no
    privilege. Runs until Ctrl-C, or with -d in the background until `disconnect`.
    """
    from octelium.client.dns.owners import repair

    _refuse_what_comes_later(invocation, options)
    wanted, names = _wanted(invocation, options)
    choice = _choice(options)
    side = _side(options, wanted, choice)
    if side.is_of_host:
        wanted = _for_this_host(wanted)
    elif not wanted.publish and not wanted.serves:
        invocation.terminal.warn(
            "nothing can be reached from this host's programs like this: give -p for the "
            "Services that are needed, or connect as root"
        )
    repair(invocation.terminal.warn)  # first, or perhaps no name can be looked up at all
    api = _signed_in(invocation, options)
    place = _place(invocation)
    if options["detach"]:
        from octelium.cli.connect_background import begin

        begin(invocation, options, place)
        return None
    import uvloop

    return uvloop.run(_run(invocation, api, wanted, names, side, choice, place))


def _refuse_what_comes_later(invocation: Invocation, options: dict[str, Any]) -> None:
    named = [flag for name, flag in _LATER.items() if options[name]]
    named += [flag for name, flag in _VARIABLES.items() if is_true(invocation.environ.get(name))]
    if options["tunnel_mode"] == "quicv0":
        named.append("--tunnel-mode quicv0")
    if named:
        raise click.UsageError(f"{', '.join(dict.fromkeys(named))}: not offered yet.")
    if options["implementation"] == "kernel":
        raise click.UsageError("--implementation kernel: not offered; use auto, tun or gvisor.")
    if options["auth_token"] and options["assertion"]:
        raise click.UsageError("--auth-token and --assertion exclude each other.")


def _wanted(invocation: Invocation, options: dict[str, Any]) -> tuple[Wanted, NamesWanted]:
    from octelium.client.dns import wanted as names
    from octelium.client.tunnel import wanted
    from octelium.client.tunnel.errors import WantedError

    try:
        is_listening = options["localdns"] or is_true(
            invocation.environ.get("OCTELIUM_LOCAL_DNS_SERVER")
        )
        listen = names.PLACE if is_listening else None
        if options["localdns_addr"] is not None:
            listen = names.parse_place(options["localdns_addr"])
        return wanted.Wanted(
            ip_mode=options["ip_mode"],
            publish=tuple(map(wanted.parse_publication, options["publish"])),
            serve=tuple(map(wanted.served_name, options["serve"])),
            serve_all=options["serve_all"],
            no_dns=options["no_dns"],
            mtu=wanted.mtu_of(invocation.environ),
            keepalive=wanted.keepalive_of(invocation.environ),
            port_start=wanted.any_port_start(),
            allowed=tuple(map(wanted.parse_range, options["allowed"])),
        ), names.NamesWanted(
            listen=listen,
            zones=tuple(map(names.parse_zone, options["dns_zones"])),
            in_container=is_true(invocation.environ.get("OCTELIUM_CONTAINER_MODE")),
        )
    except WantedError as error:
        hint = f" {error.remedy[0].upper()}{error.remedy[1:]}." if error.remedy else ""
        raise click.UsageError(f"{error}.{hint}") from error


def _signed_in(invocation: Invocation, options: dict[str, Any]) -> Authorized:
    """The API for whoever is logged in, or signs in now. Raises ClientError."""
    client = invocation.client
    is_given = options["auth_token"] or options["assertion"]
    fixed = client.target.socket or invocation.environ.get("OCTELIUM_ACCESS_TOKEN")
    if fixed and not is_given:
        return client.api.user
    proof = chosen_proof(invocation, options["auth_token"], options["assertion"])
    keeper = client.keeper(proof, options["scopes"])
    if keeper.remembered() is None:
        invocation.terminal.note(f"Signing in to {client.domain}…")
        is_given = None
    keeper.access_token()
    if keeper.is_new:
        client.remember_connection()
        client.adopt_context()
    elif options["scopes"]:
        invocation.terminal.warn(
            "--scope limits new Sessions; this one stays as it was made. "
            "`octelium login --force` makes another"
        )
    api = client.connect(keeper).user
    if is_given:
        invocation.terminal.note(
            f"Logged in to {client.domain} already{_as_whom(api)}: what was given to sign in is "
            "not used."
        )
    return api


def _as_whom(api: Authorized) -> str:
    """Whose Session it is; empty if the Cluster does not tell."""
    from octelium.client.errors import ClientError
    from octelium.schema.pb import user_v1_pb2 as user

    try:
        name = api.call("GetStatus", user.GetStatusRequest()).user.metadata.name
    except ClientError:  # such as for a Session that may only reach Services
        return ""
    return f" as User {name}" if name else ""


def _choice(options: dict[str, Any]) -> Choice:
    from octelium.tunnel.engines.choose import choose
    from octelium.tunnel.engines.interface import EngineError

    try:
        return choose(options["engine"])
    except EngineError as error:
        raise click.UsageError(f"--engine {options['engine']}: {error}") from error


def _side(options: dict[str, Any], wanted: Wanted, choice: Choice) -> Side:
    from octelium.client.tunnel.host import HostSide
    from octelium.client.tunnel.private import PrivateSide
    from octelium.tunnel.link import capabilities

    chosen = options["implementation"]
    may = capabilities.NET_ADMIN in capabilities.effective()
    if chosen == "tun" or (chosen == "auto" and may):
        return HostSide(offload=choice.wants_offload)
    return PrivateSide(serves=wanted.serves, offload=choice.wants_offload)


def _for_this_host(wanted: Wanted) -> Wanted:
    """What can be wanted of a device here."""
    from octelium.client.tunnel.host import has_ipv6

    if has_ipv6():
        return wanted
    if wanted.ip_mode not in (None, "v4"):
        raise click.UsageError(
            f"--ip-mode {wanted.ip_mode}: this host has no IPv6 "
            "(net.ipv6.conf.default.disable_ipv6 is not 0, and cannot be written)."
        )
    return replace(wanted, has_ipv6=False)


def _place(invocation: Invocation) -> Place | None:
    from octelium.client.home import state_directory
    from octelium.client.tunnel.control import Place

    directory = state_directory(invocation.flags.get("homedir"), invocation.environ)
    return None if directory is None else Place(directory, invocation.client.domain)


async def _run(
    invocation: Invocation,
    api: Authorized,
    wanted: Wanted,
    names: NamesWanted,
    side: Side,
    choice: Choice,
    place: Place | None,
) -> int | None:
    from octelium.client.tunnel.naming import TunnelNames, unnamed
    from octelium.client.tunnel.running import Running

    terminal = invocation.terminal
    words = unnamed(wanted, names, side)

    def make_names(tunnel: Tunnel) -> NameService:
        return TunnelNames(tunnel, wanted, names, terminal.warn)

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, stopped.set)
    running = Running(
        api,
        invocation.client.domain,
        wanted,
        side,
        choice,
        place=place,
        note=terminal.note,
        warn=terminal.warn,
        make_names=make_names if words is None else None,
        unnamed=words or "",
    )
    try:
        await running.run(stopped)
    finally:
        invocation.client.close()  # or the loop would wait for calls that nobody waits for
        for number in numbers:
            loop.remove_signal_handler(number)
    return None
