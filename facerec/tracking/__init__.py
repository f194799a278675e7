"""Links the boxes of a film into tracks, splits tracks that mix people, and fills their gaps.

It works on frames, boxes, cuts and embeddings as arrays; it must not depend on pixels, models or a movie
folder's files, except for the record of a trajectory.
"""
