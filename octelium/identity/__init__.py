"""Tokens, scopes, Session and Credential rules. No I/O."""
