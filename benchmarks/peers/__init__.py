"""Others who run jobs on PostgreSQL, each as fast as we could make it go, measured as we measure ourselves."""
