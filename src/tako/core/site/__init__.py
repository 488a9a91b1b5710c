"""What an admin may change of the site while it runs."""
