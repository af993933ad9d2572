"""A client's session, over any number of sockets: how it comes in, publishes, hears, comes back."""
