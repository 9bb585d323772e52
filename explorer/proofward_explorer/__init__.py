"""The explorer: an index of finalised blocks, and the site's server. Read-only, and believed by nobody."""
