"""core.v1, user.v1, auth.v1 and ext.v1 over gRPC."""

import os

# Read when gRPC is imported. It would write a line for every request that it refuses itself, which
# anybody may send as often as he likes; what fails at our end is raised as well.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
