"""Training inside the program."""
