"""Rooms, participants and tracks: who is in, what they publish, who hears whom."""
