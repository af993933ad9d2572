"""Checks and mints access tokens, and says what they grant."""
