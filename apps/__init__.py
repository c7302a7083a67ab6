"""What a person types: one command line for all domains, and the same from Python."""
