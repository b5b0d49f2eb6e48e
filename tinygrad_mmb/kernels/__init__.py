"""Faster twins of ops: one folder per backend, one file per op. Importing one fills the table."""
