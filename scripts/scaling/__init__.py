"""What scale.py is made of: workers that only take time, engines of them, and a client that keeps them busy."""
