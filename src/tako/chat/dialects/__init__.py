"""Public wire formats, each a pure function of a response's entries: same bytes in every process, for ever."""
