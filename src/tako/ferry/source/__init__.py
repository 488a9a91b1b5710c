"""MySQL and MariaDB: their schema, position and rows. Nothing here knows PostgreSQL."""

from tako.ferry.source.connection import Address, Source, connect, quoted

__all__ = ["Address", "Source", "connect", "quoted"]
