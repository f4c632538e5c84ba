"""What a client may say. Each move adds one step or a few to a conversation."""
