"""The data folder of a movie: names, records and documents of its contract, and how results are published.

The package imports no video, models or stage code: to it, frames, boxes and vectors are numbers.
"""
