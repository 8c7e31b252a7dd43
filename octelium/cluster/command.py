"""`octelium up`: the command that starts a Cluster on this machine."""

from __future__ import annotations

import logging
import os
import pwd
import shlex
import sys
from typing import Any

import click

from octelium.cluster.settings import CONTROLLER, ENGINE, TUNNEL, Settings, SettingsError, load


class Announcer:
    """Tells the person at the terminal what happens: facts on stdout, progress on stderr.

    `interactive`: there is one. At the first start of a Cluster that person is then invited to be
    its administrator, on stderr, which no log gets. `saved` is the file that the first token was
    written to instead of being shown.
    """

    def __init__(self, settings: Any, *, interactive: bool = False, saved: str = "") -> None:
        self._settings = settings
        self._interactive = interactive
        self._saved = saved
        self._token = ""
        self._tunnel = ""

    def __call__(self, _name: str, message: dict[str, Any]) -> None:
        """Take one message of a process."""
        if message.get("token"):
            self._token = message["token"]
        if message.get("no_tunnel"):
            click.echo(f"No tunnels: {message['no_tunnel']}", err=True)
        self._tunnel = message.get("tunnel", self._tunnel)
        if message.get("up"):
            self._welcome()

    def _welcome(self) -> None:
        settings = self._settings
        endpoint = settings.listen[0].for_clients()
        ca = settings.data_dir / "ca.pem"
        me = _own_name()
        click.echo(f"Octelium serves https://{settings.domain}{settings.port_suffix}", err=True)
        click.echo(f"  data directory  {settings.data_dir}", err=True)
        click.echo(f"  CA certificate  {ca}", err=True)
        click.echo(f"  health          http://{settings.admin_listen}/readyz", err=True)
        if os.geteuid() == 0:
            click.echo("  user            root; --user NAME makes it another", err=True)
        if self._tunnel:
            click.echo(f"  tunnel          {self._tunnel}", err=True)
        if self._token:
            if self._settings.admin:
                self._invite()
            login = (
                f"octelium login --domain {settings.domain} --endpoint {endpoint}"
                f" --ca-file {ca} --auth-token"
            )
            here = f"Sign in on the command line, on this machine as {me}"
            if self._saved:
                click.echo(f"{here}:", err=True)
                click.echo(f'  {login} "$(cat {shlex.quote(self._saved)})"', err=True)
            else:
                click.echo(f"{here} (shown once):", err=True)
                click.echo(f"{login} {self._token}")
            self._tell_others()
        else:
            # Who never saw the first token and link, or lost them, is not shut out.
            click.echo(f"  way in          {self._by_hand()}", err=True)
        sys.stdout.flush()
        self._token = ""

    def _tell_others(self) -> None:
        """How the line changes where that file and that address are of no use."""
        settings = self._settings
        port = settings.public_port
        endpoint = "no --endpoint" if port == 443 else f"--endpoint {settings.api_endpoint}"
        origin = f"https://{settings.domain}{settings.port_suffix}"
        click.echo(
            f"  Elsewhere, or as another user: save {origin}/ca.pem, and give it by --ca-file,"
            f" with {endpoint}.",
            err=True,
        )

    def _by_hand(self) -> str:
        """The command that lets a person sign in as administrator, or a program as root."""
        words = ["octops", "token"]
        if self._settings.admin:
            words = ["octops", "invite", self._settings.admin, "--administrator"]
        return shlex.join([*words, "--data-dir", str(self._settings.data_dir)])

    def _invite(self) -> None:
        """The way in for a person, which only who sits at the terminal may see."""
        data_dir, name = str(self._settings.data_dir), self._settings.admin
        by_hand = self._by_hand()
        if not self._interactive:
            click.echo("Let a person sign in as administrator, by a link for 15 minutes:", err=True)
            click.echo(f"  {by_hand}", err=True)
            return
        from octelium.client.admin import AdminError, new_invitation

        try:
            made = new_invitation(data_dir, name, administrator=True)
        except AdminError as error:
            click.echo(f"octelium up: {error}; try: {by_hand}", err=True)
            return
        click.echo(f"Sign in as the administrator {name}, by this link for 15 minutes:", err=True)
        click.echo(f"  {made.url}", err=True)
        click.echo("  The browser must trust the CA certificate to make a passkey.", err=True)


def _own_name() -> str:
    """Who this process runs as; the number of a user without a name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"user {os.geteuid()}"


def _is_interactive() -> bool:
    """Whether a person sits before it, and nothing else reads along."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def _be_its_owner(settings: Settings) -> None:
    """Go on as the user that it shall run as. Raises OwnerError."""
    from octelium.cluster.owner import become, owner_of

    owner = owner_of(settings.user, settings.data_dir)
    if owner is not None:
        become(owner, settings.data_dir, os.environ)


_EPILOG = """\b
Examples:
  octelium up --domain octelium.localhost --listen 127.0.0.1:8443 --data-dir ./data
  OCTELIUM_DOMAIN=example.com octelium up
  octelium up --config /etc/octelium/up.yaml

Every flag may stand in the environment (OCTELIUM_LISTEN, …) or in the configuration file (listen,
…), flags first. The first start makes the Cluster's objects and prints how to sign in."""


@click.command("up", short_help="Start a Cluster on this machine.", epilog=_EPILOG)
@click.option("--domain", help="The Cluster's domain, such as example.com.")
@click.option("--data-dir", type=click.Path(file_okay=False), help="Where everything is kept.")
@click.option(
    "--listen",
    multiple=True,
    metavar="ADDR:PORT",
    help="Public address; repeatable. Default :443, all addresses.",
)
@click.option(
    "--admin-listen",
    metavar="ADDR:PORT",
    help="Address of /healthz, /readyz and /metrics. Default 127.0.0.1:8480.",
)
@click.option("--workers", type=int, help="Data-plane processes. Default: one per core.")
@click.option(
    "--public-port", type=int, help="Port that clients use, if it is not that of --listen."
)
@click.option(
    "--admin",
    metavar="NAME",
    help="The person whom a first start on a terminal lets sign in; '' for nobody. Default admin.",
)
@click.option(
    "--tunnel",
    type=click.Choice(TUNNEL),
    help="Whether clients connect to this machine by WireGuard; auto: if it can. Default auto.",
)
@click.option(
    "--wireguard-listen",
    metavar="ADDR:PORT",
    help="UDP address of the tunnel. Default: port 53820 where --listen is.",
)
@click.option(
    "--public-address",
    multiple=True,
    metavar="IP",
    help="Address that clients send the tunnel's datagrams to; repeatable. Default: found out.",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINE),
    help="What encrypts the tunnel. Default auto: the fastest that is there.",
)
@click.option(
    "--network-v4",
    metavar="ADDR/BITS",
    help="The Cluster's private IPv4 network, chosen at the first start. Default 100.64.0.0/10.",
)
@click.option(
    "--network-v6",
    metavar="ADDR/64",
    help="The Cluster's IPv6 network. Default: one of fdee::/16 at random.",
)
@click.option(
    "--user",
    metavar="NAME",
    help="Who it runs as when root starts it. Default: the owner of the data directory.",
)
@click.option(
    "--controller",
    type=click.Choice(CONTROLLER),
    help="Whether `octelium controller` deploys containers of Services. Default off.",
)
@click.option(
    "--controller-socket",
    type=click.Path(dir_okay=False),
    help="Where it connects. Default: run/controller/feed.sock in the data directory.",
)
@click.option(
    "--config", type=click.Path(exists=True, dir_okay=False), help="YAML file of settings."
)
@click.option("--verbose", is_flag=True, help="Tell details, as logs have them in any case.")
def up(config: str | None, verbose: bool, **flags: Any) -> None:
    """Start a Cluster and keep it running until SIGTERM or Ctrl-C."""
    from octelium.cluster.child import LOG_LEVEL, log_level

    if verbose:
        os.environ.setdefault(LOG_LEVEL, "INFO")  # for the other processes, too
    logging.basicConfig(
        level=log_level(),
        format="%(asctime)s supervisor %(levelname)s: %(message)s",
        stream=sys.stderr,
    )
    try:
        settings = load(flags, dict(os.environ), config or os.environ.get("OCTELIUM_CONFIG"))
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    from octelium.cluster.layout import DataDirectoryError
    from octelium.cluster.owner import OwnerError
    from octelium.cluster.sockets import ListenError
    from octelium.cluster.supervisor import StartError, Supervisor

    try:
        _be_its_owner(settings)
        saved = os.environ.get("OCTELIUM_AUTH_TOKEN_SAVE_PATH", "")
        Supervisor(settings, Announcer(settings, interactive=_is_interactive(), saved=saved)).run()
    except (DataDirectoryError, ListenError, OwnerError, StartError) as error:
        click.echo(f"octelium up: {error}", err=True)
        sys.exit(1)
