"""The API of Kubernetes, as far as the controller needs it."""
