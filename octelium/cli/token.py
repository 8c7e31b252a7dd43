"""`octops token`: a way in for the owner of the machine."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from octelium.cli.cert import data_dir_option
from octelium.cli.verb import verb

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation
    from octelium.client.admin import NewToken

_PEM = "-----BEGIN"


@verb(example="octops token --data-dir /var/lib/octelium", connects=False)
@data_dir_option
def token(invocation: Invocation, data_dir: str) -> None:
    """Make a new token for the first administrator, and show how to log in with it.

    For the owner of the machine who has lost the way in. Run it on the Cluster's machine, as the
    user that `octelium up` runs as.
    """
    from octelium.client.admin import new_token

    invocation.terminal.show(_login(new_token(data_dir), data_dir))


def _login(made: NewToken, data_dir: str) -> str:
    words = ["octelium", "login", "--domain", made.domain]
    if made.endpoint:
        words += ["--endpoint", made.endpoint]
    if made.ca:
        # The text of a CA would not fit on a command line; the Cluster keeps it in this file.
        file = f"{data_dir.rstrip('/')}/ca.pem" if made.ca.startswith(_PEM) else made.ca
        words += ["--ca-file", file]
    return shlex.join([*words, "--auth-token", made.token])
