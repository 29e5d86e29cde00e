"""The version of the program, read by the build and stored in every record."""

__version__ = "0.6.0"
