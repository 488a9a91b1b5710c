"""What the server costs, measured in one run beside its peers: `make bench` prints the table of docs/performance.md.

    __main__.py   the run: which rows, one after another; `python -m bench --help` lists them
    measures/     one file for each kind of measure, with its lines of the table
      relay.py      chunks on their way: what each costs, how late it is, how late the first one is
      resume.py     joining what is already there
      readers.py    many readers of one answer, and readers who wait
      stop.py       stopping what another process makes
      start.py      from nothing to the first page
      growth.py     more streams, longer conversations
    table.py      the table, and aims that are missed
    run.py        how large a run is, and what is done when others disturb it
    upstream.py   a model that costs next to nothing and says when it sent each chunk
    readers.py    clients that cost next to nothing and see when each chunk arrived
    target.py     whom a measure asks, and whose CPU it counts
    servers.py    processes pinned to one core, and what they use
    stack.py      a Tako with its database, with Valkey or without, in one process or several
    peers.py      the others: how they are installed and started; resumable.mjs is a part of it
    scale.py      what these figures mean for a site of many users: the table of docs/scale.md
    counters.py   what counting for Prometheus costs (`python -m bench.counters`)
    ferry/        the other app's own bench (`make bench-ferry`, `make bench-follow`)

The server has core 0 to itself; upstream, readers, PostgreSQL and Valkey share core 1.
"""
