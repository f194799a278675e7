"""Extraction: the work that needs the film's pixels, one shard of frames at a time.

The package writes a shard's files to the folder; it knows neither trajectories of the whole film nor people.
"""
