"""Local speech for tests and demos: flite speaks, PocketSphinx listens. Not for the server."""
