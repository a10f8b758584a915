"""A provider that somebody adds: one file, one entry in the catalogue, nothing else."""
