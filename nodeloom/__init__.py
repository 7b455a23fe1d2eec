"""The parts joined: what the command line and Python start from."""
