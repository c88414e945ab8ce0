"""The experiments of the report that GAN Edit implements, run through the engine, and the page that shows them."""
