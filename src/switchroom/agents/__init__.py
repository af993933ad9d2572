"""Agent workers: who they are, what they are offered, and what becomes of their jobs."""
