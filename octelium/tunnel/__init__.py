"""The private network's lower half: WireGuard, packets, links. Gateway and client use it alike."""
