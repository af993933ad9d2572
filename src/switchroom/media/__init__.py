"""Python's handle on the Rust media engine."""
