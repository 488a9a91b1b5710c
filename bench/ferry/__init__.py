"""Measures `tako ferry` beside its peers: `make bench-ferry` prints the table of docs/ferry.md."""
