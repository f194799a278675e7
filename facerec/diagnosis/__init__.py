"""What this machine, the films and the actor database have and lack, before the first movie.

Every function returns findings and raises no error. No module of this package imports a package that may be
missing, except inside a function: missing packages are what `software` finds.
"""
