"""Extraction: the work that needs the film's pixels, one shard of frames at a time.

The package writes a shard's files to the folder; it does not handle trajectories of the whole film or people.
"""
