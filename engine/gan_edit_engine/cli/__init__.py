"""The command line: everything that a person or a script asks of the engine."""
