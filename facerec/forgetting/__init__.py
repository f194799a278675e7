"""Removing an actor from the actor database and from movie folders, and the proof that nothing is left.

Faces in a film are part of the film and stay, without a name.
"""
