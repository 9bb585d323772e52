"""A chain of several validators on this machine, and the specs of chains on several."""
