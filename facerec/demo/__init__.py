"""A demonstration: makes a small film and its actor database and runs every command on them.

Runs commands as programs and reads finished folders; only benchmarks and tests import it.
"""
