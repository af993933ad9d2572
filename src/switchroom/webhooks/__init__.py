"""What the outside is told: LiveKit's webhooks, kept until they are delivered."""
