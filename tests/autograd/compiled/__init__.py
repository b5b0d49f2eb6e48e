"""The C++ twins of apply, the chain rule and what surrounds them do what the Python code does."""
