"""What annotators found true of a movie: reads their answers, scores a folder by them and learns from them.

Knows tables of boxes and the labeling backend's export; runs no stage and changes no movie folder.
"""
