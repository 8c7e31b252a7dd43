"""core.v1, user.v1, auth.v1 and ext.v1 over gRPC."""
