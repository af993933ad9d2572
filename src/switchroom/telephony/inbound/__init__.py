"""Calls that come in."""
