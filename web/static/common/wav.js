// Sound as a WAV file.

const HEADER_BYTES = 44;
const SAMPLE_BYTES = 2;

/** Gives mono samples (Float32Array, [-1, 1]) as a 16-bit PCM WAV file. */
export function encodeWav(samples, sampleRateHz) {
  const size = samples.length * SAMPLE_BYTES;
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + size));
  writeHeader(view, size, sampleRateHz);
  samples.forEach((sample, number) => {
    const level = Math.max(-1, Math.min(1, sample)) * 0x7fff;
    view.setInt16(HEADER_BYTES + number * SAMPLE_BYTES, Math.round(level), true);
  });
  return new Blob([view], { type: "audio/wav" });
}

/** Gives mono 16-bit PCM, little-endian, as a WAV file. */
export function wavOfPcm(pcm, sampleRateHz) {
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  writeHeader(header, pcm.size, sampleRateHz);
  return new Blob([header, pcm], { type: "audio/wav" });
}

/** The header of RIFF WAVE with PCM in it (IBM and Microsoft, 1991). */
function writeHeader(view, size, sampleRateHz) {
  const text = (offset, characters) =>
    [...characters].forEach((character, place) => view.setUint8(offset + place, character.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, HEADER_BYTES - 8 + size, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // length of this chunk
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, sampleRateHz, true);
  view.setUint32(28, sampleRateHz * SAMPLE_BYTES, true);
  view.setUint16(32, SAMPLE_BYTES, true); // of a frame
  view.setUint16(34, 8 * SAMPLE_BYTES, true); // bits of a sample
  text(36, "data");
  view.setUint32(40, size, true);
}
