"""IP packets as bytes: heads, checksums, and the large packets of TUN devices."""
