"""Engines of the tunnel: who encrypts, between a TUN device and UDP sockets."""
