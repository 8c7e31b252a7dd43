"""Service mode DNS, and the Cluster's own names."""
