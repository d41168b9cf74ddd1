"""Who: the nodes of each cluster by role, and one typed cluster object each."""
