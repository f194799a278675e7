"""Files, processes and the command line: atomic writes, locks, signals, JSON lines and CSV tables.

Depends on the operating system and file syntax only, not on movie folders, films, models or actors.
"""
