"""HTTP/1.1 (RFC 9112): heads and bodies without I/O, and the two asyncio shells."""
