"""The actor database: its tables, pictures and embeddings.

Uses the models and the readers of the movie folder; runs no stage and changes no movie folder.
"""
