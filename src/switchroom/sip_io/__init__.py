"""The sockets, the resolver and the one timer that drive sip."""
