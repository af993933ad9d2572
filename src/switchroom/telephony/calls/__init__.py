"""A phone call of either direction: its machine, its runner, its record, its ending."""
