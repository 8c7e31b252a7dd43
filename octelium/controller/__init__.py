"""What deploys containers: the objects of Kubernetes that Services ask for, and who keeps them."""
