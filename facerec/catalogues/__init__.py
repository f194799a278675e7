"""Cast lists as other catalogues write them, each read from a file and recognised by its content.

One module per format; `registry` lists them and `base` has what they return.
"""
