"""A local stand-in for cloud models, so that agents run without keys: for tests and demos only."""
