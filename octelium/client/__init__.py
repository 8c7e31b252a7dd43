"""API client and login state, used by the command lines."""

import os

# Both are read once, when grpc is first imported.
# grpc's own log would mix with what a command says, and errors arrive as exceptions anyway.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# The host's own resolver, which goes through no search list where a name has an address of one
# family alone. grpc's own would, and among its domains is a tunnel's, which may be dead.
os.environ.setdefault("GRPC_DNS_RESOLVER", "native")
