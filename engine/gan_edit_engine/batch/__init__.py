"""Thousands of photos through an engine: what is asked for each, how they go on together, and what is kept of them."""
