"""Pictures that steer."""
