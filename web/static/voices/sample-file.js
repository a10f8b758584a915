// What the page itself can tell of a sound file before it is uploaded.

import { size } from "../common/words.js";

const KINDS = "Choose a WAV, FLAC, OGG or MP3 file";

/** Gives why the farm would refuse a file; an empty string when only the farm can tell. */
export async function objection(file, maxBytes) {
  if (file.size > maxBytes) {
    const [has, most] = [size(file.size), size(maxBytes)];
    return `This file has ${has}, and ${most} is the most. Cut it to 30 s, or save it as FLAC or MP3.`;
  }
  if (file.size === 0) return `This file is empty. ${KINDS}.`;
  const head = new Uint8Array(await file.slice(0, 12).arrayBuffer());
  return isSound(head) ? "" : `This is not a kind of sound file that the farm takes. ${KINDS}.`;
}

/** Tells by how a file begins whether it may be one that is taken; the farm looks at the name as little. */
function isSound(head) {
  const text = String.fromCharCode(...head);
  // Eleven bits of synchronisation, two of version, two that say Layer III.
  const isMp3Frame = head[0] === 0xff && (head[1] & 0xe6) === 0xe2;
  return isMp3Frame || /^(?:ID3|fLaC|OggS|(?:RIFF|RF64)....WAVE)/s.test(text);
}
