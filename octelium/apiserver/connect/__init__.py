"""The private network as the control process keeps it: who has which address, who is connected."""
