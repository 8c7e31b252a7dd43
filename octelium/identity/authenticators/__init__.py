"""Authenticators: second factors and passkeys of people."""
