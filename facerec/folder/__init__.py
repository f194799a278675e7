"""The data folder of a movie: the names, records and documents of its contract, and how results enter it.

The package imports neither video nor models nor a stage: it knows frames, boxes and vectors as numbers only.
"""
