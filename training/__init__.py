"""How the default checkpoint was made: pictures, autoencoder, text encoder, denoiser, evaluation."""
