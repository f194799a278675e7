"""Files, processes and the command line: atomic writes, locks, signals, JSON lines and CSV tables.

Knows the operating system and file syntax; knows nothing of movie folders, films, models or actors.
"""
