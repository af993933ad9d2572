"""The command line: one file a noun, each a thin client of the public API."""
