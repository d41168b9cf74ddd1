"""In what order: one file per phase; cluster.py is the table of contents."""
