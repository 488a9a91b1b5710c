"""What a journal tells whoever counts from outside; by itself it counts nothing."""


class JournalWatch:
    """Nobody looks. Who does overrides methods, which return at once and never raise; none is called for each entry."""

    def registered(self, process_id: str) -> None:
        """This process serves as that incarnation from now on; told again, it has lost the lease of the one before."""

    def committed(self, entries: int, seconds: float) -> None:
        """So many entries of all logs went into one commit, which took so long."""

    def refused(self) -> None:
        """The database did not take entries, or the end of a log; it is tried again."""
