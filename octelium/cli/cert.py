"""`octops cert`: another certificate for a running Cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from octelium.cli.payload import read_text
from octelium.cli.verb import verb
from octelium.cli.words import FILE

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation


data_dir_option = click.option(
    "--data-dir",
    metavar="DIR",
    required=True,
    envvar="OCTELIUM_DATA_DIR",
    help="The data directory of `octelium up` [OCTELIUM_DATA_DIR].",
)
"""The option of every command that works on the Cluster's own machine."""


@verb(
    example="""
    octops cert example.com --cert fullchain.pem --key privkey.pem --data-dir /var/lib/octelium
    octops cert example.com --namespace prod --cert prod.pem --key prod.key --data-dir DIR
    octops cert example.com --own --data-dir DIR
    """,
    connects=False,
)
@click.argument("domain")
@click.option("--cert", "certificate", metavar="PATH", type=FILE, help="The chain (PEM).")
@click.option("--key", metavar="PATH", type=FILE, help="Its private key (PEM, not encrypted).")
@click.option("--own", is_flag=True, help="Go back to a certificate of the Cluster's own CA.")
@click.option("--force", is_flag=True, help="Also one that does not cover the Cluster's names.")
@click.option(
    "--namespace", metavar="NAME", default="default", help="For the Services of this Namespace."
)
@data_dir_option
def cert(
    invocation: Invocation,
    domain: str,
    certificate: str | None,
    key: str | None,
    own: bool,
    force: bool,
    namespace: str,
    data_dir: str,
) -> None:
    """Replace a certificate of the Cluster DOMAIN while it runs.

    Run it on the Cluster's machine, as the user that `octelium up` runs as. New connections get
    the new certificate at once; open ones go on with theirs.
    """
    from octelium.client.admin import install_certificate, use_own_certificate
    from octelium.client.certificates import check_pair, uncovered_names

    if own:
        if certificate or key or force:
            raise click.UsageError("Give either --own or --cert and --key.")
        use_own_certificate(data_dir, domain, namespace)
        invocation.terminal.note(f"{domain}, Namespace {namespace}: the Cluster's own certificate.")
        return
    if certificate is None or key is None:
        raise click.UsageError("Give --cert and --key, or --own.")
    chain, private_key = read_text(certificate), read_text(key)
    leaf = check_pair(chain, private_key, now=invocation.now())
    for name in uncovered_names(leaf, domain, namespace):
        invocation.terminal.warn(f"the certificate does not cover {name}")
    install_certificate(data_dir, domain, namespace, chain, private_key, force=force)
    until = leaf.not_valid_after_utc
    invocation.terminal.note(
        f"{domain}, Namespace {namespace}: certificate replaced, valid until {until:%Y-%m-%d}."
    )
