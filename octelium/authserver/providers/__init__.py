"""Web IdentityProviders: how people prove who they are elsewhere."""
