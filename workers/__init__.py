"""The pools: take a rendering, let a provider speak it, put the audio where the front finds it."""
