"""Files of weights as named tensors, and modules filled from them."""
