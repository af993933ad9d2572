"""The schema, its migrations, and the stores that the domain rooms ask for."""
