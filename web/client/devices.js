/** Camera and microphone: opened only when a person asked, and refusals in words that say what to do. */

/** @typedef {"camera" | "microphone"} Kind */

const MEDIA = /** @type {const} */ ({
  camera: { wish: "video", listed: "videoinput" },
  microphone: { wish: "audio", listed: "audioinput" },
});

/**
 * @param {Kind} kind
 * @param {MediaTrackConstraints} wishes
 * @returns {Promise<MediaStream>} until `closeDevice`; an error says what to do
 */
export async function openDevice(kind, wishes) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error(
      isSecureContext
        ? `This browser gives pages no ${kind}. Choose a file instead.`
        : `Browsers give a ${kind} only to pages that came over https or from localhost. ` +
            "Open the editor that way, or choose a file instead.",
    );
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ [MEDIA[kind].wish]: wishes });
  } catch (error) {
    throw new Error(refusal(kind, /** @type {DOMException} */ (error)));
  }
}

/** @param {Kind} kind @param {{ name: string, message: string }} error of the browser */
function refusal(kind, { name, message }) {
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return (
        `The ${kind} was refused. Allow it for this page in the browser's address bar and in the ` +
        "system's settings, then try again."
      );
    case "NotFoundError":
    case "OverconstrainedError":
      return `No ${kind} was found. Connect one and try again, or choose a file instead.`;
    case "NotReadableError":
    case "AbortError":
      return `The ${kind} does not answer: another program may be using it. Close that and try again.`;
    default:
      return `The ${kind} cannot be opened: ${message || name}`;
  }
}

/** @param {MediaStream | undefined} stream */
export function closeDevice(stream) {
  stream?.getTracks().forEach((track) => track.stop());
}

/**
 * Which ones there are; their names are known once one has been allowed.
 * @param {Kind} kind
 * @param {MediaStream} stream of the one that is open
 * @returns {Promise<{ id: string, name: string, current: boolean }[]>}
 */
export async function devicesOf(kind, stream) {
  const current = stream.getTracks()[0]?.getSettings().deviceId;
  const all = await navigator.mediaDevices.enumerateDevices();
  return all
    .filter((one) => one.kind === MEDIA[kind].listed)
    .map(({ deviceId, label }, index) => ({
      id: deviceId,
      name: label || `${kind} ${index + 1}`,
      current: deviceId === current,
    }));
}
