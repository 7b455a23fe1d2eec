"""Extra networks that steer by pictures."""
