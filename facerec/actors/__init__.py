"""The actor database: its tables, pictures and embeddings.

Knows models and the folder's names and readers; runs no stage and changes no movie folder.
"""
