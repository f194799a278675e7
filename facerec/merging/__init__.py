"""Merging: the shards of a film become its cuts, trajectories, features and thumbnails.

The package reads what shards wrote to the folder; it never imports the code that extracts them.
"""
