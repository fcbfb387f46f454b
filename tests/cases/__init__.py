"""Small inputs that once went wrong, each for a kind, and what is right: `make cases`."""
