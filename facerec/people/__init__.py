"""Decides which trajectories are one person and who that person is, from embeddings, time and place.

It reads a movie folder and never writes one; it must not know pixels, models or how embeddings were made.
"""
