"""Networks that are no generators: what images look like to them."""
