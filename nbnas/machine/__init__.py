"""Files and worker processes: which scoring, search and notebooks use."""
