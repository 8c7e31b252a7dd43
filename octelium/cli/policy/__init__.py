"""`octeliumctl policy`: what Policies decide, why, and whether that is what was meant."""
