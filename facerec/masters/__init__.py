"""Masters as archives keep them, made into one film file with the same frame numbers.

Folders of numbered pictures, unencrypted digital cinema packages, films in parts, and films that need a view
transform or that the labeling backend cannot read.
"""
