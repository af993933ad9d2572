"""Calls that a request places."""
