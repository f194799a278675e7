"""Decides which trajectories are one person and who that person is, from embeddings, time and position.

It reads a movie folder and never writes one; it must not depend on pixels, models or how embeddings are made.
"""
