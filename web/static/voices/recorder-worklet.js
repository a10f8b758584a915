// Runs beside the page, on the audio's own thread: hands on what the microphone hears.

// Of 21 ms at 48 kHz: often enough for a level meter.
const BATCH_FRAMES = 1024;

/** Posts Float32Arrays of `BATCH_FRAMES` mono samples. */
class Recorder extends AudioWorkletProcessor {
  #batch = new Float32Array(BATCH_FRAMES);
  #filled = 0;

  process([[channel]]) {
    for (const sample of channel ?? []) {
      this.#batch[this.#filled++] = sample;
      if (this.#filled === BATCH_FRAMES) this.#post();
    }
    return true;
  }

  #post() {
    this.port.postMessage(this.#batch, [this.#batch.buffer]);
    this.#batch = new Float32Array(BATCH_FRAMES);
    this.#filled = 0;
  }
}

registerProcessor("recorder", Recorder);
