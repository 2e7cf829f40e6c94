"""``maskgate counts`` on real SQLite files."""
