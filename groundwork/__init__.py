"""The model of a cluster: what is wanted, as typed data and documents. Pure Python; talks to no node."""
