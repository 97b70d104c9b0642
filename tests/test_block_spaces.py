"""The spaces of super blocks: known numbers, structure strings, counts against networks, mutation."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import nbnas
from nbnas.errors import NbnasError
from nbnas.spaces.super_blocks.mutation import candidates, mutate_structure, rechain, split_long
from nbnas.spaces.super_blocks.network import BlockNetwork, SqueezeExcitation, UnitModule, squeezed_width
from nbnas.spaces.super_blocks.space import VKDNW_CANDIDATES
from nbnas.spaces.super_blocks.structure import (
    CONVOLUTIONS,
    KINDS,
    SuperBlock,
    format_structure,
    parse_structure,
    round_width,
)

RESNET, MOBILENET = nbnas.get_space("zen_resnet"), nbnas.get_space("mobilenetv2")
SPACES = {space.name: space for space in (RESNET, MOBILENET)}
both_spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)

SWITCHES = [{"residual": residual, "squeeze_excite": excite} for residual in (True, False) for excite in (True, False)]

COUNTS = {
    "480M, 14 layers": (481.7, 5.75, 15),
    "480M, 17 layers": (481.8, 5.76, 18),
    "480M of a 520M run, first": (481.1, 5.77, 15),
    "480M, entropy": (481.9, 5.53, 15),
    "450M, 14 layers": (451.1, 5.73, 15),
    "450M, 17 layers": (452.0, 4.52, 18),
    "520M run, fourth": (473.7, 4.44, 15),
}
"""Operations at 224 pixels and 1,000 classes, and parameters, in millions; layers."""

STAGE_480 = list(VKDNW_CANDIDATES)[:4]


def tiny(space):
    """A small structure with every kind of the space and strides of 8 in all."""
    widths = {"zen_resnet": 16, "mobilenetv2": 2048}
    middle = [SuperBlock(name, 8, 16, 1 + (place < 2), 24, 2) for place, name in enumerate(space.rules.names)]
    tail = SuperBlock("SuperConvK1BNRELU", 16, widths[space.name], 1, None, 1)
    stem = SuperBlock("SuperConvK3BNRELU", 3, 8, 2, None, 1)
    return format_structure(rechain([stem, *middle, tail]))


# ----------------------------------------------------------------------------------------------------- published sizes


def test_start_of_the_resnet_like_search():
    assert RESNET.counted_params(RESNET.start, 100) == 101_721
    assert RESNET.params(RESNET.start, 100) == RESNET.params_for(RESNET.start, "cifar100") == 102_572
    assert RESNET.counted_flops(RESNET.start, 32, 100) == 6_550_784
    assert RESNET.counted_layers(RESNET.start) == 6


def test_start_of_the_mobilenetv2_like_search():
    assert MOBILENET.counted_flops(MOBILENET.start, 224, 1000) == pytest.approx(162.397e6, abs=500)
    assert MOBILENET.counted_params(MOBILENET.start, 1000) == pytest.approx(2.8139e6, abs=50)
    assert MOBILENET.params_for(MOBILENET.start, "imagenet") == pytest.approx(2.8243e6, abs=50)
    assert MOBILENET.counted_layers(MOBILENET.start) == 6
    assert MOBILENET.trainable_layers(MOBILENET.start) == 112


@pytest.mark.parametrize(("name", "sizes"), COUNTS.items(), ids=COUNTS)
def test_recorded_structures_have_the_recorded_sizes(name, sizes):
    arch = VKDNW_CANDIDATES[name]
    assert MOBILENET.normalise(arch) == arch
    flops, params, layers = sizes
    assert round(MOBILENET.counted_flops(arch, 224, 1000) / 1e6, 1) == flops
    assert round(MOBILENET.counted_params(arch, 1000) / 1e6, 2) == params
    assert MOBILENET.counted_layers(arch) == layers
    # The logs of the search differ from 1,000 classes by that much, hence it had 10.
    assert MOBILENET.counted_flops(arch, 224, 1000) - MOBILENET.counted_flops(arch, 224, 10) == 990 * 2048


def test_recorded_candidates_of_480_million_operations():
    excited = [MOBILENET.counted_flops(VKDNW_CANDIDATES[name], 224, 1000, squeeze_excite=True) for name in STAGE_480]
    ten_classes = [MOBILENET.counted_flops(VKDNW_CANDIDATES[name], 224, 10) for name in STAGE_480]
    assert (round(min(excited) / 1e6, 1), round(max(excited) / 1e6, 1)) == (484.6, 485.8)
    assert (round(min(ten_classes) / 1e6, 1), round(max(ten_classes) / 1e6, 1)) == (479.1, 479.9)


def test_operations_that_the_published_count_misses_in_projections():
    missing, shares = [], []
    for arch in VKDNW_CANDIDATES.values():
        side, total = 224, 0
        for block in MOBILENET.blocks(arch):
            side //= block.stride
            if block.stride == 2 and block.bottleneck:
                total += 3 * (block.inputs + 1) * block.bottleneck * side**2 // 4
        missing.append(total / 1e6)
        shares.append(100 * total / MOBILENET.counted_flops(arch, 224, 1000))
    assert (round(min(missing), 1), round(max(missing), 1)) == (5.9, 10.2)
    assert (round(min(shares), 1), round(max(shares), 1)) == (1.2, 2.2)


# ------------------------------------------------------------------------------------------- counts against the network


def measured(network, resolution):
    """Sizes of a built network, taken from its modules and the shapes of what they put out."""
    sides = {}

    def remember(module, arguments, output):
        sides[module] = (arguments[0].shape[-1], output.shape[-1])

    for module in network.modules():
        module.register_forward_hook(remember)
    network(torch.zeros(2, 3, resolution, resolution, device="meta"))

    sizes = Counter()
    excitations = [module for module in network.modules() if isinstance(module, SqueezeExcitation)]
    excited = {part for excitation in excitations for part in excitation.modules()}
    projections = [m.shortcut for m in network.modules() if isinstance(m, UnitModule) and m.shortcut is not None]
    projected = {part for projection in projections for part in projection.modules()}
    for module in network.modules():
        own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        before, after = sides.get(module, (0, 0))
        sizes["params"] += own
        sizes["tensors"] += len(list(module.parameters(recurse=False)))
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            weights = module.weight.numel()
            linear = isinstance(module, nn.Linear)
            sizes["flops"] += weights if linear else weights * after**2
            sizes["weight_layers"] += 1
            sizes["counted_params"] += weights + 1 if linear else own
            if linear or module in excited:
                sizes["counted_flops"] += weights
            elif module in projected:
                assert before % module.stride[0] == 0
                sizes["counted_flops"] += own * after**2 // module.stride[0] ** 2
            else:
                sizes["counted_flops"] += weights * after**2
        elif isinstance(module, nn.BatchNorm2d):
            if module in excited:
                sizes["counted_params"] += own
            elif module not in projected:
                sizes["counted_params"] += own // 2
                sizes["counted_flops"] += own // 2 * after**2
        elif isinstance(module, SqueezeExcitation):
            sizes["counted_flops"] += module.gate[-2].num_features * (1 + after**2)
    return sizes


def assert_counts_equal_the_network(space, arch, num_classes, resolution, switches):
    with torch.device("meta"):
        network = space.build(arch, num_classes, **switches)
    found = measured(network, resolution)
    assert space.params(arch, num_classes, **switches) == found["params"]
    assert space.flops(arch, resolution, num_classes, **switches) == found["flops"]
    assert space.counted_params(arch, num_classes, **switches) == found["counted_params"]
    assert space.counted_flops(arch, resolution, num_classes, **switches) == found["counted_flops"]
    assert space.weight_layers(arch, **switches) == found["weight_layers"]
    assert space.trainable_layers(arch, **switches) == found["tensors"]


@pytest.mark.parametrize("switches", SWITCHES)
@both_spaces
def test_counts_equal_the_network(space, switches):
    assert_counts_equal_the_network(space, tiny(space), 7, 64, switches)


@both_spaces
def test_counts_of_random_structures_equal_the_network(space):
    rng = np.random.default_rng(0)
    for number in range(4):
        assert_counts_equal_the_network(space, space.sample(rng), 10, 32, SWITCHES[number])


@both_spaces
def test_one_convention_follows_from_the_other(space):
    # Every BatchNorm but those of projections lacks C, those lack 2 C, and the classifier all biases but one.
    rng = np.random.default_rng(1)
    for _ in range(5):
        arch = space.sample(rng)
        with torch.device("meta"):
            network = space.build(arch, 100)
        lacking = 99
        for module in network.modules():
            if isinstance(module, UnitModule):
                lacking += sum(m.num_features for m in module.layers if isinstance(m, nn.BatchNorm2d))
                if isinstance(module.shortcut, nn.Sequential):
                    lacking += 2 * module.shortcut[1].num_features
        assert space.params(arch, 100) - space.counted_params(arch, 100) == lacking


# --------------------------------------------------------------------------------------------------------- the network


def shapes_of(network):
    return [(name, tuple(parameter.shape)) for name, parameter in network.named_parameters()]


def convolution(outputs, inputs, kernel_size=1):
    return [(outputs, inputs, kernel_size, kernel_size), (outputs,), (outputs,)]


def projection(outputs, inputs):
    return [(outputs, inputs, 1, 1), (outputs,), (outputs,), (outputs,)]


def parameters_of(text):
    with torch.device("meta"):
        network = BlockNetwork(parse_structure(text), 10)
    return [tuple(parameter.shape) for parameter in network.parameters()][:-2]


def test_parameters_of_convolutions():
    expected = [*convolution(16, 3, 5), *convolution(16, 16, 5)]
    assert parameters_of("SuperConvK5BNRELU(3,16,2,2)") == expected


def test_parameters_of_basic_units():
    first = [*convolution(16, 8, 3), *convolution(24, 16, 3), *projection(24, 8)]
    later = [*convolution(16, 24, 3), *convolution(24, 16, 3)]
    assert parameters_of("SuperResK3K3(8,24,2,16,3)") == [*first, *later * 2]


def test_parameters_of_bottleneck_units():
    first = [*convolution(8, 24), *convolution(8, 8, 5), *convolution(24, 8), *projection(24, 24)]
    later = [*convolution(8, 24), *convolution(8, 8, 5), *convolution(24, 8)]
    assert parameters_of("SuperResK1K5K1(24,24,1,8,2)") == [*first, *later * 3]


def test_parameters_of_inverted_bottlenecks():
    def depthwise(width):
        return [(width, 1, 7, 7), (width,), (width,)]

    def inverted(width, hidden, outputs):
        return [*convolution(hidden, width), *depthwise(hidden), *convolution(outputs, hidden)]

    # From 8 to the bottleneck 16 and on to 24; the second repetition returns to the bottleneck, all widths change.
    expected = [*inverted(8, 32, 16), *projection(16, 8), *inverted(16, 48, 24), *projection(24, 16)]
    expected += [*inverted(24, 32, 16), *projection(16, 24), *inverted(16, 48, 24), *projection(24, 16)]
    assert parameters_of("SuperResIDWE2K7(8,24,2,16,2)") == expected
    # With one width only the first unit has a projection.
    assert parameters_of("SuperResIDWE1K7(16,16,1,16,2)") == [
        *inverted(16, 16, 16),
        *projection(16, 16),
        *inverted(16, 16, 16) * 3,
    ]


def test_hidden_widths_are_rounded_to_multiples_of_eight():
    assert [round_width(width) for width in (1, 12, 20, 28, 36, 44)] == [8, 16, 16, 32, 32, 48]
    assert [squeezed_width(channels) for channels in (1, 8, 10, 14, 240)] == [1, 2, 2, 4, 60]


@both_spaces
def test_stride_acts_in_the_first_wide_convolution_and_in_the_projection(space):
    network = space.build(space.start)
    for block, modules in zip(space.blocks(space.start), network.blocks, strict=True):
        strided = [name for name, m in modules.named_modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
        place = "0.layers.3" if block.kind.family == "inverted" else "0.layers.0"
        expected = [place, "0.shortcut.0"] if block.bottleneck else [place]
        assert strided == (expected if block.stride == 2 else [])


@both_spaces
def test_shapes_of_super_blocks_and_logits(space):
    network, shapes = space.build(tiny(space), 7), []
    for module in network.blocks:
        module.register_forward_hook(lambda _, __, output: shapes.append(output.shape))
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    side = 32
    for block, shape in zip(space.blocks(tiny(space)), shapes, strict=True):
        side //= block.stride
        assert shape == (2, block.outputs, side, side)


@both_spaces
def test_batch_norms_and_biases(space):
    network = space.build(tiny(space), squeeze_excite=True)
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.eps, module.momentum, module.affine) == (1e-3, 0.1, True)
        elif isinstance(module, nn.Conv2d):
            assert (module.bias is not None) == (".shortcut." in name)


@both_spaces
def test_without_residual_links_only_the_shortcuts_are_gone(space):
    with torch.device("meta"):
        linked, plain = space.build(tiny(space)), space.build(tiny(space), residual=False)
    assert shapes_of(plain) == [(name, shape) for name, shape in shapes_of(linked) if ".shortcut." not in name]
    assert all(module.shortcut is None for module in plain.modules() if isinstance(module, UnitModule))
    assert space.counted_params(tiny(space), 10, residual=False) < space.counted_params(tiny(space), 10)
    assert space.counted_layers(tiny(space)) == 2 + 2 * len(space.rules.names)


def test_unit_is_the_sum_of_path_and_shortcut():
    network = BlockNetwork(parse_structure("SuperResK3K3(8,8,1,8,2)"), 10)
    inputs = torch.randn(2, 8, 4, 4)
    first, second = network.blocks[0]
    torch.testing.assert_close(first(inputs), (first.layers(inputs) + first.shortcut(inputs)).relu())
    torch.testing.assert_close(second(inputs), (second.layers(inputs) + inputs).relu())
    plain = BlockNetwork(parse_structure("SuperResK3K3(8,8,1,8,2)"), 10, residual=False)
    torch.testing.assert_close(plain.blocks[0][1](inputs), plain.blocks[0][1].layers(inputs).relu())


def test_squeeze_excitation_multiplies_channels():
    module = SqueezeExcitation(8)
    inputs = torch.randn(2, 8, 4, 4)
    factors = module(inputs) / inputs
    torch.testing.assert_close(factors, factors[..., :1, :1].expand_as(factors), rtol=1e-4, atol=1e-5)
    assert 0 < factors.min() <= factors.max() < 1


def test_squeeze_excitation_follows_the_depthwise_convolution():
    network = BlockNetwork(parse_structure("SuperResIDWE4K3(8,16,1,8,1)"), 10, squeeze_excite=True)
    kinds = ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "SqueezeExcitation"]
    for unit, hidden in zip(network.blocks[0], (32, 64), strict=True):
        assert [type(layer).__name__ for layer in unit.layers] == [*kinds, "Conv2d", "BatchNorm2d"]
        assert unit.layers[6].gate[-2].num_features == hidden


@both_spaces
def test_proxies_score_the_network(space):
    network = space.build(space.start, 10, residual=False)
    scores = nbnas.score(network, ["snip", "tcet_snip"], input_shape=(4, 3, 32, 32))
    assert np.isfinite(scores.value).all()


# --------------------------------------------------------------------------------------------------------- the string

widths = st.integers(1, 256).map(lambda eighth: 8 * eighth)


@st.composite
def structures(draw, space):
    """Structures of a space, blocks of any L up to 14 among them."""
    middle = draw(
        st.lists(
            st.tuples(st.sampled_from(list(space.rules.names)), widths, st.integers(1, 2), widths, st.integers(1, 14)),
            min_size=1,
            max_size=5,
        )
    )
    stem = SuperBlock("SuperConvK3BNRELU", 3, draw(widths), draw(st.integers(1, 2)), None, 1)
    outputs = 2048 if space is MOBILENET else draw(widths)
    tail = SuperBlock("SuperConvK1BNRELU", 8, outputs, 1, None, 1)
    return rechain([stem, *(SuperBlock(name, 8, *numbers) for name, *numbers in middle), tail])


either = st.sampled_from(list(SPACES.values())).flatmap(lambda space: st.tuples(st.just(space), structures(space)))


@settings(max_examples=200)
@given(drawn=either)
def test_printing_and_parsing_are_inverse(drawn):
    space, blocks = drawn
    text = format_structure(blocks)
    assert parse_structure(text) == space.blocks(text) == blocks
    assert space.normalise(f" {text}\n") == text
    assert space.counted_layers(text) == sum(block.repeats for block in blocks)


@both_spaces
def test_thousands_of_random_structures_round_trip(space):
    rng = np.random.default_rng(2)
    arch, archs = space.start, set()
    for _ in range(1_500):
        # Restarted now and then, for widths have no end.
        arch = space.mutate(space.start if rng.random() < 0.1 else arch, rng, replacements=2)
        assert format_structure(space.blocks(arch)) == arch
        assert space.params(arch) > space.counted_params(arch, 10)
        archs.add(arch)
    assert len(archs) > 1_400


def test_every_kind_can_be_read():
    for name in KINDS:
        arguments = "8,16,2,3" if name in CONVOLUTIONS else "8,16,2,24,3"
        (block,) = parse_structure(f"{name}({arguments})")
        assert (block.inputs, block.outputs, block.stride, block.repeats) == (8, 16, 2, 3)
        assert block.bottleneck == (None if name in CONVOLUTIONS else 24)
    kinds = [KINDS[name] for name in ("SuperConvK1BNRELU", "SuperResIDWE6K5", "SuperResK7K7", "SuperResK1K3K1")]
    assert kinds == [("convolution", 1, 1), ("inverted", 5, 6), ("basic", 7, 1), ("bottleneck", 3, 1)]
    assert len(KINDS) == 4 + 12 + 3 + 3


START = RESNET.start
MALFORMED = {
    "empty": ("", "at least one super block"),
    "None": (None, "is a string, got NoneType"),
    "blank inside": (START.replace(")S", ") S", 1), r"block 2 \(character 27\) must read 'Name\(args\)', got ' Super"),
    "no end": (START[:-1], r"block 6 \(character 129\) must read"),
    "unknown name": (
        START.replace("K3K3", "K3K5", 1),
        r"block 2 \(character 27\) has unknown name 'SuperResK3K5'; choose",
    ),
    "four arguments": (
        START.replace("(8,16,1,8,1)", "(8,16,1,8)"),
        r"block 2 .* needs \(in, out, stride, bottleneck, L\), got 4 arguments",
    ),
    "five arguments": (START.replace("(3,8,1,1)", "(3,8,1,8,1)"), r"block 1 .* needs \(in, out, stride, L\), got 5"),
    "zero": (START.replace("(32,64,2,32,1)", "(32,64,2,32,0)"), r"block 4 .* for L, got '0'"),
    "negative": (START.replace("(32,64,2,32,1)", "(32,64,2,-32,1)"), r"block 4 .* for bottleneck, got '-32'"),
    "fraction": (START.replace("(32,64,2,32,1)", "(32,64,2.0,32,1)"), r"block 4 .* for stride, got '2.0'"),
    "leading zero": (START.replace("(32,64,2,32,1)", "(32,064,2,32,1)"), r"block 4 .* for out, got '064'"),
    "arabic digit": (START.replace("(3,8,1,1)", "(٣,8,1,1)"), r"block 1 .* for in, got '٣'"),
    "thousands of digits": (START.replace("(3,8,1,1)", f"({'9' * 5000},8,1,1)"), r"block 1 .* for in, got"),
    "stride 3": (START.replace("(32,64,2,32,1)", "(32,64,3,32,1)"), r"block 4 .* must have stride 1 or 2, got 3"),
    "broken chain": (
        START.replace("(32,64,2,32,1)", "(24,64,2,32,1)"),
        r"block 4 \(character \d+\) takes 24 channels, but block 3 gives 32",
    ),
    "no stem": (START[26:], r"block 1 \(SuperResK3K3\(8,16,1,8,1\)\) must be a stem SuperConvK3BNRELU"),
    "four channels": (START.replace("(3,8,1,1)", "(4,8,1,1)"), "block 1 .* that takes 3 channels"),
    "no tail": (START[: START.rindex("Super")], r"block 5 .* is the last and must be a tail SuperConvK1BNRELU"),
    "no middle": ("SuperConvK3BNRELU(3,8,1,1)SuperConvK1BNRELU(8,16,1,1)", "got 2 super blocks"),
    "convolution in the middle": (
        "SuperConvK3BNRELU(3,8,1,1)SuperConvK3BNRELU(8,8,1,1)SuperConvK1BNRELU(8,16,1,1)",
        "block 2 .* is not of a kind of 'zen_resnet'; choose from SuperResK3K3",
    ),
    "other space": (MOBILENET.start, r"block 2 \(SuperResIDWE6K3\(8,32,2,8,1\)\) is not of a kind of 'zen_resnet'"),
    "odd width": (START.replace("(32,64,2,32,1)", "(32,64,2,36,1)"), "bottleneck width of block 4 .* got 36"),
}


@pytest.mark.parametrize(("arch", "message"), MALFORMED.values(), ids=MALFORMED)
def test_error_names_the_place(arch, message):
    assert not RESNET.is_valid(arch)
    for method in (RESNET.normalise, RESNET.build, RESNET.params, RESNET.counted_layers):
        with pytest.raises(NbnasError, match=message):
            method(arch)


@settings(max_examples=200)
@given(place=st.integers(0, len(START)), deleted=st.integers(0, 5), added=st.text("Super39K(),\n ٣", max_size=3))
def test_damaged_structure_is_read_as_written_or_refused_in_one_line(place, deleted, added):
    text = START[:place] + added + START[place + deleted :]
    try:
        assert RESNET.normalise(text) == text.strip()
    except NbnasError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert "block" in str(error)  # noqa: PT017


def test_tail_of_the_mobilenetv2_like_space_is_fixed():
    with pytest.raises(NbnasError, match=r"output width of block 6 .* must be 2048"):
        MOBILENET.normalise(MOBILENET.start.replace("2048", "1280"))


@pytest.mark.parametrize("resolution", [0, -32, 36])
def test_resolution_must_suit_the_strides(resolution):
    for method in (RESNET.flops, RESNET.counted_flops):
        with pytest.raises(NbnasError, match=f"divisible by 8, the product of the strides, got {resolution}"):
            method(RESNET.start, resolution, 10)


# --------------------------------------------------------------------------------------------- re-chaining, splitting


@given(drawn=either, data=st.data())
def test_rechaining_changes_input_widths_only(drawn, data):
    _, blocks = drawn
    assert rechain(blocks) == blocks
    torn = [blocks[0], *(replace(block, inputs=data.draw(widths)) for block in blocks[1:])]
    assert rechain(torn) == blocks


@settings(max_examples=100)
@given(drawn=either)
def test_splitting_keeps_layers_strides_and_the_short(drawn):
    _, blocks = drawn
    parts = split_long(blocks)
    assert max(part.repeats for part in parts) <= 5
    assert split_long(parts) == rechain(parts) == parts
    assert sum(part.repeats for part in parts) == sum(block.repeats for block in blocks)
    assert math.prod(part.stride for part in parts) == math.prod(block.stride for block in blocks)
    left = list(parts)
    for block in blocks:
        own = [left.pop(0)]
        while sum(part.repeats for part in own) < block.repeats:
            own.append(left.pop(0))
        rest = replace(block, inputs=block.outputs, stride=1)
        lengths = [3] * (len(own) - 1) + [block.repeats - 3 * (len(own) - 1)]
        whole = [block] + [rest] * (len(own) - 1)
        assert own == [replace(part, repeats=length) for part, length in zip(whole, lengths, strict=True)]
        assert len(own) == 1 or block.repeats > 5
    assert not left


def test_splitting_by_hand():
    def split(arguments):
        return format_structure(split_long(parse_structure(f"SuperResK3K3({arguments})")))

    assert split("8,16,2,24,5") == "SuperResK3K3(8,16,2,24,5)"
    assert split("8,16,2,24,6") == "SuperResK3K3(8,16,2,24,3)SuperResK3K3(16,16,1,24,3)"
    assert split("8,16,2,24,7") == "SuperResK3K3(8,16,2,24,3)SuperResK3K3(16,16,1,24,4)"
    thirds = "SuperResK3K3(8,16,2,24,3)SuperResK3K3(16,16,1,24,3)SuperResK3K3(16,16,1,24,3)"
    assert split("8,16,2,24,9") == thirds


# ------------------------------------------------------------------------------------------------------------ mutation


def list_length(space, place):
    """Length of the list with repeats from which the published code draws."""
    found = candidates(space.blocks(space.start), place, space.rules)
    weights = sum(space.rules.names.get(name, 1) for name in found.names)
    return weights * found.number // len(found.names)


def test_numbers_of_published_candidates():
    blocks = MOBILENET.blocks(MOBILENET.start)
    assert [candidates(blocks, place, MOBILENET.rules).number for place in range(6)] == [2, 504, 2268, 2916, 2916, 1]
    assert [list_length(MOBILENET, place) for place in range(6)] == [2, 3738, 16821, 21627, 21627, 1]
    third = candidates(RESNET.blocks(RESNET.start), 2, RESNET.rules)
    assert third.number == 630
    assert list_length(RESNET, 2) == 1680
    assert third.outputs == (80, 64, 48, 40, 32, 24, 16)
    assert third.bottlenecks == (40, 32, 24, 16, 8)
    assert third.repeats == (1, 2, 3)


def test_published_structures_wider_than_the_search_allows_are_read():
    structure = START.replace("128", "2056")
    network = RESNET.build(structure, 10)
    assert RESNET.params(structure, num_classes=10) == sum(parameter.numel() for parameter in network.parameters())


def test_widest_super_blocks_stay_at_the_limit():
    blocks = RESNET.blocks(RESNET.start.replace("64", "2048"))
    found = candidates(blocks, 3, RESNET.rules)
    assert max(found.outputs) == 2048
    assert min(found.outputs) == round_width(2048 / 2.5)
    assert 5120 in candidates(MOBILENET.blocks(MOBILENET.start.replace("128", "2048")), 4, MOBILENET.rules).outputs


@settings(max_examples=200)
@given(drawn=either, seed=st.integers(0, 2**32), published=st.booleans(), replacements=st.integers(1, 8))
def test_mutants_are_made_of_candidates(drawn, seed, published, replacements):
    space, blocks = drawn
    blocks = split_long(blocks)
    arch = format_structure(blocks)
    kind = "published" if published else "uniform"
    mutant = space.mutate(arch, np.random.default_rng(seed), candidates=kind, replacements=replacements)
    assert space.normalise(mutant) == mutant
    assert published or mutant != arch
    changed, parts = 0, list(space.blocks(mutant))
    assert all(part.repeats <= 5 for part in parts)
    for place, block in enumerate(blocks):
        part = parts.pop(0)
        found = candidates(blocks, place, space.rules)
        # A part of L = 3 may be the first of a split super block: then what is left over must be its second part.
        if len(parts) > len(blocks) - place - 1 and part.repeats == 3:
            rest = parts[0]
            alike = replace(part, inputs=part.outputs, stride=1, repeats=rest.repeats)
            if rest == alike and part.repeats + rest.repeats in found.repeats:
                part = replace(part, repeats=part.repeats + rest.repeats)
                parts.pop(0)
        assert part.stride == block.stride
        for value, allowed in zip((part.name, part.outputs, part.bottleneck, part.repeats), found, strict=True):
            assert value in allowed
        changed += replace(part, inputs=block.inputs) != block
    assert not parts
    assert changed <= replacements
    if not published:
        assert changed == min(replacements, len(blocks) - (space is MOBILENET))


@both_spaces
def test_uniform_mutation_is_uniform_over_places_and_names(space):
    rng, blocks = np.random.default_rng(3), space.blocks(space.start)
    places, names = Counter(), Counter()
    for _ in range(3_000):
        mutant = space.blocks(space.mutate(space.start, rng))
        place = next(p for p in range(len(blocks)) if replace(mutant[p], inputs=blocks[p].inputs) != blocks[p])
        places[place] += 1
        if 0 < place < 5:
            names[mutant[place].name] += 1
    free = len(blocks) - (space is MOBILENET)
    assert sorted(places) == list(range(free))
    assert_frequencies(places, dict.fromkeys(range(free), 1))
    assert_frequencies(names, dict.fromkeys(space.rules.names, 1))


@both_spaces
def test_published_mutation_draws_names_with_their_multiplicities(space):
    rng, blocks = np.random.default_rng(4), space.blocks(space.start)[1:-1]
    ends = (space.blocks(space.start)[0], space.blocks(space.start)[-1])
    # In a structure of one residual block only it can take another name.
    short = format_structure(rechain([ends[0], replace(blocks[0], repeats=1), ends[1]]))
    names, same, draws = Counter(), 0, 6_000
    for _ in range(draws):
        mutant = space.mutate(short, rng, candidates="published")
        same += mutant == short
        names[space.blocks(mutant)[1].name] += 1
    # The middle is hit in a third of the draws; otherwise the name stays.
    total = sum(space.rules.names.values())
    expected = {name: weight / total / 3 for name, weight in space.rules.names.items()}
    expected[blocks[0].name] += 2 / 3
    assert_frequencies(names, expected)
    assert same > draws / 6


def test_multiplicities_of_the_published_lists():
    assert list(MOBILENET.rules.names.items()) == [
        (f"SuperResIDWE{expansion}K{kernel_size}", multiplicity)
        for (kernel_size, expansion), multiplicity in zip(
            [(kernel_size, expansion) for kernel_size in (3, 5, 7) for expansion in (1, 2, 4, 6)],
            (12, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2),
            strict=True,
        )
    ]
    assert sum(MOBILENET.rules.names.values()) == 89
    assert RESNET.rules.names == {
        f"SuperRes{form}": weight
        for form, weight in {"K3K3": 3, "K5K5": 3, "K7K7": 2, "K1K3K1": 3, "K1K5K1": 3, "K1K7K1": 2}.items()
    }


def assert_frequencies(counts, weights):
    draws, total = sum(counts.values()), sum(weights.values())
    assert set(counts) == set(weights)
    for key, weight in weights.items():
        expected = draws * weight / total
        assert abs(counts[key] - expected) < 5 * expected**0.5


def test_two_published_replacements_of_one_place_count_once():
    # Three places: in a third of the draws both replacements hit one, and then only that may change.
    rng = np.random.default_rng(5)
    blocks = RESNET.blocks("SuperConvK3BNRELU(3,64,1,1)SuperResK3K3(64,64,2,64,1)SuperConvK1BNRELU(64,64,1,1)")
    changes = Counter()
    for _ in range(1_000):
        mutant = mutate_structure(blocks, RESNET.rules, rng, published=True, replacements=2)
        changes[sum(replace(new, inputs=old.inputs) != old for new, old in zip(mutant, blocks, strict=True))] += 1
    assert max(changes) == 2
    # Two places differ in 2/3 of the draws; an end keeps its width in 1 of 9.
    assert 450 < changes[2] < 650


@both_spaces
def test_the_global_generators_have_no_say(space):
    drawn = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        rng = np.random.default_rng(6)
        drawn.append([space.sample(rng), space.mutate(space.start, rng)])
    assert drawn[0] == drawn[1]


@both_spaces
def test_sampled_structures_are_in_the_space(space):
    rng = np.random.default_rng(7)
    drawn = [space.sample(rng) for _ in range(50)]
    assert all(space.normalise(arch) == arch for arch in drawn)
    assert all(block.repeats <= 5 for arch in drawn for block in space.blocks(arch))
    assert len(set(drawn)) == 50


def test_unknown_ways_to_mutate_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(NbnasError, match="unknown candidates 'best'; choose from uniform, published"):
        RESNET.mutate(RESNET.start, rng, candidates="best")
    with pytest.raises(NbnasError, match="replacements must be at least 1, got 0"):
        RESNET.mutate(RESNET.start, rng, replacements=0)
