"""Annotators' labels: read them, score a folder against them, and learn pictures of actors from them.

Reads tables of boxes and the labeling backend's export; runs no stage and changes no movie folder.
"""
