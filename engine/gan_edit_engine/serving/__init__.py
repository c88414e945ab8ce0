"""The engine for those who are elsewhere: a page for people and an endpoint for programs. Never imports torch."""
