"""Tako: the self-hosted back end of an independent site."""

__version__ = "0.1.0"
