"""API client and login state, used by the command lines."""

import os

# grpc's own log would mix with what a command says, and errors arrive as exceptions anyway. It is
# read once, when grpc is first imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
