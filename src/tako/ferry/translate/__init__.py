"""From MySQL to PostgreSQL: names, types, values, expressions, DDL. Pure: nothing here talks to a server."""
