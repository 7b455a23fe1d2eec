/** @import { Library } from "./specs.js" */
/**
 * Bundled workflows that show single families of nodes: loops, choices, changing texts, inpainting in place,
 * hints, film and sound.
 */
import { Builder } from "./starter.js";

/** @param {Library} library */
function forEach(library) {
  const build = new Builder(library);
  const parts = build.begin();
  const start = build.node("ForEachStart", [370, 610], [220, 130], {
    items: [build.node("PrimitiveInt", [40, 610], [220, 82], { value: 3 }, "How many"), 0],
  });
  const latent = build.node("EmptyLatentImage", [370, 800], [320, 106], {
    width: build.side,
    height: build.side,
  });
  const sampler = build.sample(parts, [latent, 0], [750, 120], { seed: [start, 2] });
  const decode = build.node("VAEDecode", [1060, 120], [150, 46], {
    samples: [sampler, 0],
    vae: [parts.loader, 2],
  });
  const end = build.node("ForEachEnd", [1260, 120], [170, 86], { loop: [start, 0], result: [decode, 0] });
  const together = build.node("ListToBatch", [1480, 120], [150, 46], { list: [end, 0] });
  build.node("SaveAnimatedWEBP", [1680, 120], [300, 460], {
    images: [together, 0],
    fps: 2,
    filename_prefix: "Nodeloom_loop",
  });
  return build.done();
}

/** @param {Library} library */
function whileLoop(library) {
  const build = new Builder(library);
  const first = build.node("PrimitiveString", [40, 120], [260, 82], { value: "very" });
  const start = build.node("WhileStart", [360, 120], [200, 86], { value: [first, 0] });
  const short = build.node(
    "RegexMatch",
    [620, 60],
    [280, 220],
    { string: [start, 2], regex_pattern: "^.{0,20}$" },
    "Still short?",
  );
  const longer = build.node("StringConcatenate", [620, 370], [280, 200], {
    string_a: [start, 2],
    string_b: "very",
    delimiter: ", ",
  });
  const end = build.node("WhileEnd", [960, 120], [220, 130], {
    loop: [start, 0],
    condition: [short, 0],
    value: [longer, 0],
  });
  build.node("PreviewAny", [1240, 120], [280, 140], { source: [end, 0] });
  return build.done();
}

/** @param {Library} library */
function choice(library) {
  const build = new Builder(library);
  const one = build.node(
    "EmptyImage",
    [40, 120],
    [260, 154],
    { width: build.side, height: build.side, color: 0xcc3333 },
    "If it is on",
  );
  const other = build.node(
    "EmptyImage",
    [40, 330],
    [260, 154],
    { width: build.side, height: build.side, color: 0x3333cc },
    "If it is off",
  );
  const chosen = build.node("IfElse", [370, 120], [220, 110], {
    condition: true,
    on_true: [one, 0],
    on_false: [other, 0],
  });
  build.node("PreviewImage", [650, 120], [300, 320], { images: [chosen, 0] });
  return build.done();
}

/** @param {Library} library */
function changingText(library) {
  const build = new Builder(library);
  const parts = build.begin();
  const words = build.small ? "{an apple|a lemon}" : "{a quiet harbour|an old mill}";
  const drawn = build.node("WildcardText", [40, 280], [290, 160], {
    text: `[${words}:a cat:0.6] on a blue background`,
  });
  const positive = build.node("CLIPTextEncodeModes", [370, 610], [320, 220], {
    text: [drawn, 0],
    clip: [parts.loader, 1],
    mode: "a1111",
    steps: 20,
  });
  const latent = build.node("EmptyLatentImage", [370, 880], [320, 106], {
    width: build.side,
    height: build.side,
  });
  const sampler = build.sample({ ...parts, positive }, [latent, 0], [750, 120]);
  return build.finish(parts.loader, [sampler, 0], [1070, 120]);
}

/** @param {Library} library */
function formats(library) {
  const build = new Builder(library);
  const image = build.node("EmptyImage", [40, 120], [260, 154], {
    width: build.side,
    height: build.side,
    batch_size: 1,
    color: 0x44aa88,
  });
  ["WebP", "JPEG", "AVIF"].forEach((format, index) => {
    build.node("SavePicture", [370 + index * 340, 260 - index * 70], [310, 420], {
      images: [image, 0],
      format,
      filename_prefix: "Nodeloom_format",
    });
  });
  return build.done();
}

/** @param {Library} library */
function hints(library) {
  const build = new Builder(library);
  const parts = build.begin();
  const latent = build.node("EmptyLatentImage", [370, 610], [320, 106], {
    width: build.side,
    height: build.side,
  });
  const sampler = build.sample(parts, [latent, 0], [750, 120]);
  const image = build.node("VAEDecode", [1060, 120], [150, 46], {
    samples: [sampler, 0],
    vae: [parts.loader, 2],
  });
  ["ScribbleHint", "LineArtHint", "TileHint", "BlurHint", "RecolourHint", "DepthHint"].forEach(
    (type, index) => {
      const hint = build.node(type, [1290, 120 + index * 240], [260, 110], {
        [type === "DepthHint" ? "depth" : "image"]: [image, 0],
      });
      build.node("PreviewImage", [1610, 120 + index * 240], [220, 184], { images: [hint, 0] });
      if (type === "DepthHint") {
        const normal = build.node("NormalHint", [1890, 120 + (index - 1) * 240], [260, 130], {
          depth: [hint, 0],
        });
        build.node("PreviewImage", [2210, 120 + (index - 1) * 240], [220, 184], { images: [normal, 0] });
      }
    },
  );
  return build.done();
}

/** @param {Library} library */
function film(library) {
  const build = new Builder(library);
  const images = build.node("EmptyImage", [40, 120], [260, 154], {
    width: build.side,
    height: build.side,
    batch_size: 12,
    color: 0x8844aa,
  });
  const silence = build.node("EmptyAudio", [40, 330], [260, 106], { duration: 1 });
  const piece = build.node("TrimAudioDuration", [370, 330], [240, 82], {
    audio: [silence, 0],
    duration: 0.5,
  });
  const video = build.node("CreateVideo", [680, 120], [240, 82], {
    images: [images, 0],
    audio: [piece, 0],
    fps: 24,
  });
  build.node("SaveVideo", [990, 120], [300, 340], { video: [video, 0] });
  build.node("SaveAudioMP3", [680, 330], [240, 130], { audio: [piece, 0] });
  return build.done();
}

/** @param {Library} library */
function inpaintInPlace(library) {
  const build = new Builder(library);
  const parts = build.begin(750);
  const image = build.node("LoadImage", [40, 280], [270, 330]);
  const piece = build.node("CropAroundMask", [370, 640], [320, 220], {
    image: [image, 0],
    mask: [image, 1],
    width: build.side,
    height: build.side,
    context: 2,
  });
  const latent = build.node("VAEEncode", [750, 720], [150, 46], {
    pixels: [piece, 1],
    vae: [parts.loader, 2],
  });
  const masked = build.node("SetLatentNoiseMask", [950, 720], [180, 46], {
    samples: [latent, 0],
    mask: [piece, 2],
  });
  const sampler = build.sample(parts, [masked, 0], [1180, 120], { denoise: 0.9 });
  const decode = build.node("VAEDecode", [1490, 120], [150, 46], {
    samples: [sampler, 0],
    vae: [parts.loader, 2],
  });
  const whole = build.node("StitchBack", [1690, 120], [150, 46], { stitch: [piece, 0], image: [decode, 0] });
  build.node("SaveImage", [1890, 120], [300, 380], { images: [whole, 0], filename_prefix: "Nodeloom" });
  return build.done();
}

/** @type {import("./starter.js").Template[]} */
export const EXAMPLES = [
  {
    name: "For each",
    description: "A loop: one picture for each seed, together as an animation.",
    build: forEach,
  },
  { name: "While", description: "A loop that goes on as long as a condition holds.", build: whileLoop },
  { name: "If", description: "Only the side that is chosen is computed.", build: choice },
  {
    name: "Text that changes",
    description: "Words drawn by chance, and others from the middle of the run on.",
    build: changingText,
  },
  {
    name: "File formats",
    description: "WebP, JPEG and AVIF, each with the workflow inside.",
    build: formats,
  },
  {
    name: "Inpaint in place",
    description: "The painted part of a picture of any size, drawn at the model's size and put back.",
    build: inpaintInPlace,
  },
  {
    name: "Hints",
    description: "Scribble, lines, tile, depth, normals: what ControlNets follow, without a network.",
    build: hints,
  },
  {
    name: "Film and sound",
    description: "Images and a sound as MP4 and MP3 (needs the extra `video`).",
    build: film,
  },
];
