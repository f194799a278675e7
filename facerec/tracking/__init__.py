"""Links the boxes of a film into tracks, splits tracks that mix people, and fills their gaps.

It knows frames, boxes, cuts and embeddings as arrays; it must not know pixels, models or a movie folder's
files, apart from the record of a trajectory.
"""
