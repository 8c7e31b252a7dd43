"""The IP side of the private network: namespace, TUN, addresses, firewall, and sockets inside."""
