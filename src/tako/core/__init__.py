"""What two or more apps need. Imports no app."""
