"""Measures Tako beside nginx on this machine: `python -m bench` prints the table of the README."""
