"""``promote-to``: one revision from an environment to the next, with the evidence for it."""
