"""`python -m slurm`: the launcher."""

from slurm.cli import run

raise SystemExit(run())
