"""PostgreSQL: what ferry makes there, and its state in the schema `ferry`. Nothing here knows MySQL."""

from tako.ferry.target.connection import Failed, Target, connect

__all__ = ["Failed", "Target", "connect"]
