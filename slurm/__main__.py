"""Entry point of `python -m slurm`."""

from slurm.cli import run

raise SystemExit(run())
