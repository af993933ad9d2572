"""Alembic's folder: one revision a file in `versions`, applied at every start."""
