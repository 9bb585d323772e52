"""Evidence that outlives the chain connection: bundles, proof files, and their verification offline."""
