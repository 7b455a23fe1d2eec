"""What can be said of a prompt without running it: whether it could run, and why it would."""
