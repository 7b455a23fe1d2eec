"""Changes of weights kept apart from them: LoRA and its kin, mixtures, changes bound to times."""
