"""The engine's shell: socket, queue and processes. Never imports torch."""
