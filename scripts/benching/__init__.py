"""What bench.py is made of: the cases that take turns, an edit in a large model, and how each is timed."""
