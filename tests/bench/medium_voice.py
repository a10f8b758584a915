"""A Piper voice with random weights that costs what a real one of medium quality costs.

`python -m tests.bench.medium_voice FOLDER` writes it into a model folder, in two seconds and equal each time.

Measured beside en_US-joe-medium, sentence by sentence in turn, one thread each, on a busy machine (piper-tts
1.8.0, onnxruntime 1.32.0): real-time factor 0.091 and 0.093 (of processor time), files of 63.2 MB both, 4.6 s
and 4.8 s of speech for the same phonemes. Shares of the time: decoder 0.69 and 0.66, flow 0.18 and 0.16, text
encoder 0.10 and 0.12, durations 0.03 and 0.05.
"""

from __future__ import annotations

import sys
from math import sqrt
from pathlib import Path

from onnx import ModelProto, TensorProto, helper

from tests.bench.network import Name, Network
from tests.voices import write_voice

NAME = "en_US-medium_bench-medium"

# The layers of VITS as Piper's medium voices have them.
_SYMBOLS, _CHANNELS, _FILTER, _HEADS, _LAYERS, _WINDOW = 256, 192, 768, 2, 6, 4
_DURATION_FLOWS, _SPLINE = 4, 29
_FLOWS, _FLOW_LAYERS, _FLOW_KERNEL = 4, 4, 5
_UPSAMPLING = ((8, 16), (8, 16), (4, 8))  # times, kernel
_BLOCKS = ((3, (1, 2)), (5, (2, 6)), (7, (3, 12)))  # kernel, dilations
_FIRST_DECODER_CHANNELS = 256

# What the random weights are to make of it: phonemes of 1 to 4 frames, and sound that is heard, not clipped.
_MEAN_LOG_FRAMES, _LOG_FRAMES_RANGE = 0.3, 0.5
_LEVEL = 0.1


def make_medium_voice(models: Path, name: str = NAME) -> None:
    """Write the voice into a model folder, where Piper's provider finds it."""
    write_voice(models, name, medium_network())


def medium_network() -> ModelProto:
    """Build text encoder, durations, flow and decoder, for batches of one, which need no masks.

    Real voices draw noise for the durations and for the sound, and so does this one.
    """
    net = Network(seed=20)
    noise_scale, length_scale, duration_noise = (net.add("Gather", "scales", net.whole(n)) for n in range(3))
    encoded = _encoder(net)
    frames = net.add("Mul", _durations(net, encoded, duration_noise), length_scale)
    places = _places(net, net.add("Ceil", frames))
    spread = net.add("Gather", net.convolve(encoded, (_CHANNELS, 2 * _CHANNELS)), places, axis=2)
    mean, deviation = net.halves(spread, 2 * _CHANNELS)
    noise = net.add("Mul", net.add("RandomNormalLike", mean), noise_scale)
    sound = _decoder(net, _flow(net, net.sum(mean, net.add("Mul", noise, net.add("Tanh", deviation)))))
    net.nodes.append(helper.make_node("Unsqueeze", [sound, net.whole(1)], ["output"]))
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, ["batch", "phonemes"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 1, 1, "samples"])
    graph = helper.make_graph(net.nodes, "medium", inputs, [output], net.tables)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def _encoder(net: Network) -> Name:
    """Give 192 channels a phoneme, by six layers of attention."""
    net.part = "encoder"
    x = net.add("Gather", net.weights(_SYMBOLS, _CHANNELS, gain=sqrt(_CHANNELS)), "input")
    x = net.add("Transpose", x, perm=[0, 2, 1])
    for _ in range(_LAYERS):
        x = net.normalize(net.sum(x, _attention(net, x)), _CHANNELS)
        y = net.add("Relu", net.convolve(x, (_CHANNELS, _FILTER), 3))
        x = net.normalize(net.sum(x, net.convolve(y, (_FILTER, _CHANNELS), 3)), _CHANNELS)
    return x


def _attention(net: Network, x: Name) -> Name:
    """Attend to all phonemes, with relative positions (Shaw et al., 2018) within the window."""
    size = _CHANNELS // _HEADS
    length = net.length(x, 2)
    heads = net.whole(_HEADS, size, -1)
    query, key, value = (net.add("Reshape", net.convolve(x, (_CHANNELS, _CHANNELS)), heads) for _ in range(3))
    query = net.add("Div", net.add("Transpose", query, perm=[0, 2, 1]), net.table(sqrt(size)))
    value = net.add("Transpose", value, perm=[0, 2, 1])
    near = net.add("MatMul", query, net.add("Transpose", _near(net, size, length), perm=[1, 0]))
    logits = net.sum(net.add("MatMul", query, key), _to_absolute(net, near, length))
    weights = net.add("Softmax", logits, axis=-1)
    near = net.add("MatMul", _to_relative(net, weights, length), _near(net, size, length))
    attended = net.add("Transpose", net.sum(net.add("MatMul", weights, value), near), perm=[0, 2, 1])
    attended = net.add("Reshape", attended, net.whole(1, _CHANNELS, -1))
    return net.convolve(attended, (_CHANNELS, _CHANNELS))


def _near(net: Network, size: int, length: Name) -> Name:
    """Give a row of weights for each distance, zeros beyond the window: (2 * length - 1, size)."""
    beyond = net.add("Sub", length, net.whole(_WINDOW + 1))
    none = net.whole(0)
    pad = net.add("Max", beyond, none)
    begin = net.add("Max", net.add("Neg", beyond), none)
    rows = net.add("Pad", net.weights(2 * _WINDOW + 1, size), net.add("Concat", pad, none, pad, none, axis=0))
    return net.cut(rows, begin, net.sum(begin, _distances(net, length)), 0)


def _distances(net: Network, length: Name) -> Name:
    return net.add("Sub", net.add("Mul", length, net.whole(2)), net.whole(1))


def _to_absolute(net: Network, x: Name, length: Name) -> Name:
    """Turn (heads, length, distances) into (heads, length, length): pad it, and read it in other rows."""
    none, one, heads = net.whole(0), net.whole(1), net.whole(_HEADS)
    x = net.add("Pad", x, net.whole(0, 0, 0, 0, 0, 1))
    x = net.add("Reshape", x, net.whole(_HEADS, -1))
    before = net.add("Sub", length, one)
    x = net.add("Pad", x, net.add("Concat", none, none, none, before, axis=0))
    rows = net.add("Concat", heads, net.sum(length, one), _distances(net, length), axis=0)
    x = net.cut(net.add("Reshape", x, rows), none, length, 1)
    return net.cut(x, before, _distances(net, length), 2)


def _to_relative(net: Network, x: Name, length: Name) -> Name:
    """Do the reverse of `_to_absolute`."""
    none, one, heads = net.whole(0), net.whole(1), net.whole(_HEADS)
    before = net.add("Sub", length, one)
    x = net.add("Pad", x, net.add("Concat", none, none, none, none, none, before, axis=0))
    x = net.add("Reshape", x, net.whole(_HEADS, -1))
    x = net.add("Pad", x, net.add("Concat", none, length, none, none, axis=0))
    rows = net.add("Concat", heads, length, net.add("Mul", length, net.whole(2)), axis=0)
    x = net.add("Reshape", x, rows)
    return net.cut(x, one, net.add("Mul", length, net.whole(2)), 2)


def _durations(net: Network, encoded: Name, noise_scale: Name) -> Name:
    """Give each phoneme's length in frames; a sum stands for the splines of VITS's stochastic predictor."""
    net.part = "durations"
    x = net.convolve(encoded, (_CHANNELS, _CHANNELS))
    x = net.convolve(_separable(net, x), (_CHANNELS, _CHANNELS))
    one = net.cut(x, net.whole(0), net.whole(1), 1)
    z = net.add("Mul", net.add("RandomNormalLike", one), noise_scale)
    for _ in range(_DURATION_FLOWS):
        y = net.sum(net.convolve(z, (1, _CHANNELS)), x)
        y = net.normalize(_separable(net, y), _CHANNELS)
        y = net.convolve(y, (_CHANNELS, _SPLINE), gain=sqrt(_SPLINE))
        z = net.add("Tanh", net.add("ReduceMean", y, axes=[1], keepdims=1))
    log_frames = net.sum(net.add("Mul", z, net.table(_LOG_FRAMES_RANGE)), net.table(_MEAN_LOG_FRAMES))
    return net.add("Exp", net.add("Reshape", log_frames, net.whole(-1)))


def _separable(net: Network, x: Name) -> Name:
    """Add three dilated convolutions, each channel by itself, and mix them."""
    for layer in range(3):
        y = net.convolve(x, (_CHANNELS, _CHANNELS), 3, dilation=3**layer, groups=_CHANNELS)
        y = _gelu(net, net.normalize(y, _CHANNELS))
        y = _gelu(net, net.normalize(net.convolve(y, (_CHANNELS, _CHANNELS)), _CHANNELS))
        x = net.sum(x, y)
    return x


def _gelu(net: Network, x: Name) -> Name:
    erf = net.add("Erf", net.add("Div", x, net.table(sqrt(2))))
    return net.add("Mul", net.add("Mul", x, net.sum(erf, net.table(1.0))), net.table(0.5))


def _places(net: Network, whole_frames: Name) -> Name:
    """Give for each frame the place of its phoneme: int64, (frames,)."""
    ends = net.add("CumSum", whole_frames, net.whole(0))
    total = net.add("ReduceMax", ends, keepdims=0)
    zero = net.add("Squeeze", net.table([0.0]))
    one = net.add("Squeeze", net.table([1.0]))
    times = net.add("Unsqueeze", net.add("Range", zero, total, one), net.whole(1))
    is_over = net.add("GreaterOrEqual", times, net.add("Unsqueeze", ends, net.whole(0)))
    over = net.add("Cast", is_over, to=TensorProto.INT64)
    return net.add("ReduceSum", over, net.whole(1), keepdims=0)


def _flow(net: Network, z: Name) -> Name:
    """Add the coupling layers, each with a WaveNet of four layers, from the last to the first."""
    net.part = "flow"
    half = _CHANNELS // 2
    for _ in range(_FLOWS):
        second, first = net.halves(z, _CHANNELS)  # flipped
        x = net.convolve(first, (half, _CHANNELS))
        skipped: list[Name] = []
        for layer in range(_FLOW_LAYERS):
            y = net.convolve(x, (_CHANNELS, 2 * _CHANNELS), _FLOW_KERNEL)
            tanh, sigmoid = net.halves(y, 2 * _CHANNELS)
            y = net.add("Mul", net.add("Tanh", tanh), net.add("Sigmoid", sigmoid))
            if layer == _FLOW_LAYERS - 1:
                skipped.append(net.convolve(y, (_CHANNELS, _CHANNELS)))
            else:
                on, skip = net.halves(net.convolve(y, (_CHANNELS, 2 * _CHANNELS)), 2 * _CHANNELS)
                x = net.sum(x, on)
                skipped.append(skip)
        mean = net.convolve(net.sum(*skipped), (_CHANNELS, half), gain=0.5)
        z = net.add("Concat", first, net.add("Sub", second, mean), axis=1)
    return z


def _decoder(net: Network, z: Name) -> Name:
    """Add HiFi-GAN's generator: a frame becomes 256 samples."""
    net.part = "decoder"
    channels = _FIRST_DECODER_CHANNELS
    x = net.convolve(z, (_CHANNELS, channels), 7)
    for times, kernel in _UPSAMPLING:
        x = net.upsample(net.add("LeakyRelu", x, alpha=0.1), (channels, channels // 2), kernel, times)
        channels //= 2
        blocks = [_block(net, x, channels, *block) for block in _BLOCKS]
        x = net.add("Div", net.sum(*blocks), net.table(len(_BLOCKS)))
    x = net.convolve(net.add("LeakyRelu", x, alpha=0.01), (channels, 1), 7, gain=_LEVEL)
    return net.add("Tanh", x)


def _block(net: Network, x: Name, channels: int, kernel: int, dilations: tuple[int, ...]) -> Name:
    for dilation in dilations:
        y = net.convolve(net.add("LeakyRelu", x, alpha=0.1), (channels, channels), kernel, dilation=dilation)
        x = net.sum(x, y)
    return x


if __name__ == "__main__":
    make_medium_voice(Path(sys.argv[1]))
