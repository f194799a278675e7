"""A demonstration: makes a small film and its actor database and runs every command on them.

Knows commands as programs and finished folders; nothing imports it but benchmarks and tests.
"""
