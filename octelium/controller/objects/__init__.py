"""The objects of Kubernetes that a managed container consists of. No I/O."""
