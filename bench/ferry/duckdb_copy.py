"""Copies tables from MySQL to PostgreSQL by DuckDB's two extensions. Runs in DuckDB's own environment."""

import sys

import duckdb
from duckdb_extensions import import_extension

port, source, folder, target, *tables = sys.argv[1:]
for name in ("mysql", "postgres"):
    import_extension(name)
database = duckdb.connect()
database.execute("LOAD mysql")
database.execute("LOAD postgres")
database.execute(f"ATTACH 'host=127.0.0.1 port={port} user=root database={source}' AS site (TYPE mysql)")
database.execute(f"ATTACH 'host={folder} user=postgres dbname={target}' AS copy (TYPE postgres)")
database.execute("CREATE SCHEMA copy.site")
failed = False
for table in tables:
    try:
        database.execute(f"CREATE TABLE copy.site.{table} AS FROM site.{table}")
    except duckdb.Error as error:
        print(f"{table}: {error}")
        failed = True
sys.exit(failed)
