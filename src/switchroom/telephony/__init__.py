"""Trunks, numbers and calls: what happens to a phone call."""
