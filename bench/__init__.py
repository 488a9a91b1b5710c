"""What the server costs, measured in one run beside nginx: `make bench` prints the table that the README shows.

    upstream.py   a model that costs next to nothing and says when it sent each chunk
    readers.py    clients that cost next to nothing and see when each chunk arrived
    servers.py    the processes under test, pinned to one core, and what they use
    measures.py   one function for each row of the table
    __main__.py   the run

The server has core 0 to itself; upstream and readers share core 1.
"""
