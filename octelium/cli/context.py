"""`octelium context`: the Clusters that this host knows, and which one commands mean."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import click

from octelium.cli import menu
from octelium.cli.formats import output_option
from octelium.cli.program import MenuGroup
from octelium.cli.verb import verb
from octelium.cli.words import DOMAIN
from octelium.client.errors import SettingsError

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation
    from octelium.client.client import Client

context = MenuGroup(menu.CONTEXT)
"""Finds its commands in the table of `octelium.cli.menu`."""


@verb(
    "list",
    example="""
    octelium context list
    octelium context list -o json
    """,
)
@output_option()
def show_all(invocation: Invocation, output: str | None) -> None:
    """List the Clusters that this host knows from earlier logins.

    CURRENT is the one that commands mean when they name none; LOGIN is whether there is a Session
    that should still be good.
    """
    from octelium.cli.formats import json_text, yaml_text
    from octelium.cli.table import table

    client, terminal = invocation.client, invocation.terminal
    known = client.known_domains()
    meant = _meant(invocation, known)
    rows = [
        {
            "domain": domain,
            "current": domain == meant,
            "loggedIn": _is_logged_in(invocation, domain),
            "endpoint": client.connections.get(domain).endpoint or "",
        }
        for domain in known
    ]
    match output:
        case "json":
            terminal.show(json_text(rows))
        case "yaml":
            terminal.show(yaml_text(rows))
        case "name":
            for domain in known:
                terminal.show(domain)
        case _ if not rows:
            terminal.note("No Cluster is known. Log in to one: octelium login --domain DOMAIN")
        case _:
            cells = [
                [
                    str(row["domain"]),
                    "yes" if row["current"] else "no",
                    "yes" if row["loggedIn"] else "no",
                    str(row["endpoint"]),
                ]
                for row in rows
            ]
            head, *lines = table(["DOMAIN", "CURRENT", "LOGIN", "ENDPOINT"], cells).split("\n")
            terminal.show("\n".join([terminal.style(head, "bold"), *lines]))


@verb("show", example="octelium context show")
def show(invocation: Invocation) -> None:
    """Show the Cluster that commands mean: by --domain, OCTELIUM_DOMAIN, `use`, or the only one."""
    invocation.terminal.show(invocation.client.domain)


@verb("use", example="octelium context use example.com")
@click.argument("name", metavar="DOMAIN", required=False, type=DOMAIN)
def use(invocation: Invocation, name: str | None) -> None:
    """Have commands mean this Cluster when they name none.

    --domain and OCTELIUM_DOMAIN go before it.
    """
    client, terminal = invocation.client, invocation.terminal
    if not name:
        known = ", ".join(client.known_domains()) or "none, log in to one first"
        raise click.UsageError(f"Name a Cluster. Known: {known}.")
    chosen = _known(client, name)
    client.contexts.use(chosen)
    terminal.note(f"Commands mean {chosen} now, unless they name another Cluster.")
    named = invocation.environ.get("OCTELIUM_DOMAIN")
    if named and named != chosen:
        terminal.warn(f"OCTELIUM_DOMAIN is {named}, which goes before it as long as it is set")


@verb("delete", example="octelium context delete example.com")
@click.argument("name", metavar="DOMAIN", type=DOMAIN)
def delete(invocation: Invocation, name: str) -> None:
    """Forget a Cluster: its Session, which ends, and how it is reached.

    It is forgotten here even if the Cluster cannot be told, which gives a warning.
    """
    from octelium.client.errors import ApiError

    chosen = _known(invocation.client, name)
    invocation.logout_wanted = False
    client = invocation.client_of(chosen)
    try:
        client.logout()
    except ApiError as error:
        invocation.terminal.warn(f"the Cluster could not be told: {error}")
    finally:
        client.close()
    client.forget()
    invocation.terminal.note(f"Forgot {chosen}.")


def _known(client: Client, text: str) -> str:
    """A domain as it is known. Raises SettingsError for others."""
    from octelium.client.settings import choose_domain

    domain = choose_domain(text, {}, [])
    known = client.known_domains()
    if domain in known:
        return domain
    close = difflib.get_close_matches(domain, known, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise SettingsError(
        f"the Cluster {domain} is not known{hint}",
        f"known: {', '.join(known) or 'none'}; log in to another one: "
        f"octelium login --domain {domain}",
    )


def _meant(invocation: Invocation, known: list[str]) -> str | None:
    """What commands mean here and now; None where they would ask which."""
    from octelium.client.settings import choose_domain

    flag, environ = invocation.flags.get("domain"), invocation.environ
    current = invocation.client.contexts.current()
    if not (flag or environ.get("OCTELIUM_DOMAIN") or current) and len(known) != 1:
        return None
    return choose_domain(flag, environ, known, current)


def _is_logged_in(invocation: Invocation, domain: str) -> bool:
    login = invocation.client.logins.get(domain)
    return login is not None and login.is_valid(invocation.now())
