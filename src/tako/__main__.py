"""`python -m tako`."""

from tako.cli import main

main()
