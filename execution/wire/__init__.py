"""Between the server's process and the worker's."""
