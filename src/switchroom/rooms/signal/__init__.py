"""LiveKit's messages to our records and back. In `rooms`, only this folder knows their classes."""
