"""coursekit: the helper package of the course on how Kubernetes pods talk across nodes."""
