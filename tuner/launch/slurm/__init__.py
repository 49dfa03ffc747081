"""Workers on a Slurm cluster."""
