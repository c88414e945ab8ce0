"""Readers of generator checkpoints, one per file family; nothing in a file is ever executed."""
