"""One file for each library. Each names its engines in ENGINES."""
