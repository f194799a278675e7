"""Runs of feature extractors over movies, lists of videos and tar shards: reading, computing, writing.

A *source* (a movie, a list, tar shards) is divided into *units* of work, which depend on the input alone,
never on the number of shards or workers. A process claims a unit, computes it with the engine, and writes its
outputs and its entries of the index.
"""
