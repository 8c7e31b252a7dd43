"""The command lines octelium, octeliumctl and octops."""
