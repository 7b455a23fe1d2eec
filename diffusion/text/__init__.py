"""From a person's words to tensors: tokens, text encoders, weights of words, texts that change over a run."""
