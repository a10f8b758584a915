"""Voice samples: recordings that a voice is cloned from, judged before they are kept.

    inspection.inspect_sample(upload) -> Sample     or BadSample, which tells how to record a better one
    store.SampleStore(url)                          put(pcm) -> id, get(id), exists(id), delete(id)

`inspect_sample` takes a file open for reading, whatever it holds, and never trusts it: decoding and judging
run in a process of their own with limits (`child`). What comes back is `records.Sample`: what was uploaded
(duration, rate, channels, depth, size), what was measured, score, rating and warnings, and `pcm`, the only
form in which a sample is kept: a mono 24 kHz 16-bit PCM WAV.

An ID means something to the store alone, and the store knows nothing of personalities: whoever puts a sample
keeps its ID, and deletes the one before. `delete` takes everything that was made from the sample along.

Nothing is imported here: the front must not load what decodes (`child`, `decoding`, `judging`: numpy,
libsndfile), and the child need not load what keeps.
"""
