"""The user's side: OpenAI's and Anthropic's API on this machine, through a gateway that was checked."""
