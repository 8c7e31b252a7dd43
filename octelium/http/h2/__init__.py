"""HTTP/2 (RFC 9113): cores without I/O for either end of a connection, and their asyncio shells.

`connection` holds what both ends share: frames, settings, flow control, closing. `server` and
`client` add the streams of `octelium.http.exchange`; `protocol` joins a core and a transport.
There are no event objects: a frame becomes a call on the stream that it is for, and everything
that is to be sent in one turn of the event loop leaves in one write.
"""
