"""The worker process: where a request becomes pixels."""
