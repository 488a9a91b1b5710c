"""The page's own API under /api: conversations as the page shows them, answers as a compact stream, and the feed.

shapes.py         what goes in and out
conversations.py  the JSON routes
streams.py        asking, joining an answer, and the feed: plain ASGI routes
openapi.py        the documentation of streams.py
"""
