"""The count store, on real SQLite files."""
