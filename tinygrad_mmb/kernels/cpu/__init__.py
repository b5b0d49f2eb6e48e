"""C++ twins of ops (csrc/cpu), one file an op."""
