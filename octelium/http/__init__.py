"""Heads, HTTP/1.1, HTTP/2 frames, the TLS layer, the upstream pool: sans-IO, thin shells."""
