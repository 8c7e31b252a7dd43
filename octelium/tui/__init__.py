"""The terminal interface: a client of the public API, drawn with Textual.

Nothing outside of this room imports it before it is asked for.
"""
