"""Files and worker processes: what scoring, search and notebooks stand on."""
