"""Every actor of a feature film found, followed, grouped and named."""

__version__ = "0.1.0"
