"""The command line: thin commands over the Python face."""
