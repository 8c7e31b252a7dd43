"""The gateway: the end of every tunnel, which holds its peers as the Cluster wants them."""
