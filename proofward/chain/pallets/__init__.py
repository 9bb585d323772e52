"""The pallets of Proofward, typed: one module each, with records to read and calls to sign."""
