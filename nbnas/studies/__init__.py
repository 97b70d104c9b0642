"""What only the studies and sweeps among the notebooks call."""
