"""The source's log: read over a connection of our own, checked, taken apart into whole transactions.

`gtid` positions, `stream` bytes, `events` what they say, `statements` SQL in them, `tables` and `images` rows,
`transactions` what belongs together. What is not known here stops the stream; nothing is skipped because it is strange.
"""
