"""The whole site under faults: what must hold is judged, whatever happens to whichever process.

`python -m tests.faults` plays rounds, each from one seed, and prints what came of them; `make test` plays a few.

stage.py     the site under test: real processes, a database, Valkey, and an upstream whose text is known byte by byte
faults.py    what is done to it
crowd.py     those who ask, read, leave, come again somewhere else, and stop
judge.py     what must hold afterwards
play.py      a round: a crowd, a few faults, a judgement
mutants.py   the product with one promise broken (`mutated` runs it), which the judge must notice
table.py     what is printed
"""
