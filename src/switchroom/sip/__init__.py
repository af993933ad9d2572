"""The SIP protocol, pure: bytes and time in, actions and events out."""
