"""The front door: listeners, certificates, routing by SNI and Host."""
