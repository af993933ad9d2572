"""Where a call may go: trunks, numbers, headers and media settings."""
