"""Public wire formats, each a pure function of a response's entries: same numbers and bytes in every process, for ever."""
