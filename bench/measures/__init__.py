"""The measures: one file for each kind, with how it is measured and what its lines of the table say."""
