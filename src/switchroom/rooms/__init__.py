"""Keeps rooms true: who is in, what they publish, who hears whom."""
