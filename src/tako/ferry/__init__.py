"""Moves a MySQL or MariaDB database into PostgreSQL, losing nothing: plan, copy, verify."""
