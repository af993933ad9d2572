"""The public protocol: Twirp services, WebSocket doors, health."""
