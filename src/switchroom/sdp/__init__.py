"""Session descriptions and offer/answer, pure."""
