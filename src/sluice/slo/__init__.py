"""One SLO file in the words of other tools, and a first one from requirements."""
