"""The simulated phone network: a carrier with phones, in a process of its own."""
