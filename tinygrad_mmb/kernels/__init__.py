"""Faster twins of ops: one folder per backend, one file per op. Importing a folder fills the table."""
