"""Heads, HTTP/1.1, HTTP/2 framing, the TLS layer and the upstream pool: sans-IO cores, thin shells."""
