"""A pack that calls MODEL, CLIP and VAE as ComfyUI's packs do."""

import nodes


class Encode:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"clip": ("CLIP",), "text": ("STRING", {}), "way": (["tokens", "scheduled", "node"],)}
        }

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "encode"

    def encode(self, clip, text, way):
        tokens = clip.tokenize(text)
        if way == "scheduled":
            return (clip.encode_from_tokens_scheduled(tokens, add_dict={"strength": 1.0}),)
        if way == "node":
            return nodes.CLIPTextEncode().encode(clip, text)
        cond, pooled = clip.encode_from_tokens(tokens, return_pooled=True)
        return ([[cond, {"pooled_output": pooled}]],)


class Skip:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"clip": ("CLIP",), "layer": ("INT", {"default": -2, "min": -24, "max": -1})}}

    RETURN_TYPES = ("CLIP",)
    FUNCTION = "skip"

    def skip(self, clip, layer):
        clip = clip.clone()
        clip.clip_layer(layer)
        return (clip,)


class RoundTrip:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"vae": ("VAE",), "image": ("IMAGE",), "tiled": ("BOOLEAN", {"default": False})}}

    RETURN_TYPES = ("IMAGE", "LATENT", "VAE")
    FUNCTION = "pass_through"

    def pass_through(self, vae, image, tiled):
        if tiled:
            latent = vae.encode_tiled(image, tile_x=64, tile_y=64, overlap=16)
            return (vae.decode_tiled(latent, tile_x=8, tile_y=8, overlap=2), {"samples": latent}, vae)
        latent = vae.encode(image)
        assert latent.shape[-1] * vae.spacial_compression_decode() == image.shape[2]
        assert latent.shape[1] == vae.latent_channels
        return (vae.decode(latent), {"samples": latent}, vae)


class Guide:
    """Sets guidance functions that compute what is computed anyway, or half of it."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("MODEL",),
                "what": (["cfg", "pre", "post", "none", "bad"],),
                "factor": ("FLOAT", {}),
            }
        }

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"

    def patch(self, model, what, factor):
        patched = model.clone()

        def cfg(args):
            cond, uncond = args["cond"], args["uncond"]
            return (uncond + (cond - uncond) * args["cond_scale"]) * factor + (1 - factor) * args["input"]

        def pre(args):
            assert args["cond_scale"] == 4.0, "what tests sample with"
            return [factor * each for each in args["conds_out"]]

        def post(args):
            assert args["sigma"].shape == (args["input"].shape[0],)
            return args["denoised"] * factor

        if what == "cfg":
            patched.set_model_sampler_cfg_function(cfg)
        elif what == "pre":
            patched.set_model_sampler_pre_cfg_function(pre)
        elif what == "post":
            patched.set_model_sampler_post_cfg_function(post)
        elif what == "bad":
            patched.model_options["model_function_wrapper"] = cfg
        assert "sampler_cfg_function" not in model.model_options
        sampling = patched.get_model_object("model_sampling")
        assert sampling.sigma_max > sampling.sigma_min > 0
        assert sampling.percent_to_sigma(0.5) < sampling.sigma_max
        return (patched,)


class Pipe:
    """Carries values in a tuple of its own."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",), "clip": ("CLIP",)}}

    RETURN_TYPES = ("PIPE",)
    FUNCTION = "join"

    def join(self, model, clip):
        return ((model, clip),)


class Unpipe:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"pipe": ("PIPE",)}}

    RETURN_TYPES = ("MODEL", "CLIP")
    FUNCTION = "split"

    def split(self, pipe):
        return pipe


class Reach:
    """Wants to reach inside."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"clip": ("CLIP",)}}

    RETURN_TYPES = ("CLIP",)
    FUNCTION = "reach"

    def reach(self, clip):
        assert not hasattr(clip, "cond_stage_model")
        return (clip.patcher,)


NODE_CLASS_MAPPINGS = {kind.__name__: kind for kind in (Encode, Skip, RoundTrip, Guide, Pipe, Unpipe, Reach)}
