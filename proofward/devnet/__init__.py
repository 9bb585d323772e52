"""Development chains on this machine: the embedded one, and the real node with the same spec."""
