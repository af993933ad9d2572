"""What every room may lean on: clock, ids, settings, logs, owned tasks."""
