"""What a node type is: declared functions, their specs, and what they are handed and give back."""
