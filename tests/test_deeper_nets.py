"""The nets of Table 4 and of ImageNet."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import densenet as torchvisions

from clrbench.data.images import Images
from clrbench.models import DenseNet
from clrbench.models.densenet import DenseBlock
from clrbench.models.imagenet import AlexNet, GoogLeNet
from clrbench.models.resnet import ResNet, StochasticBlock, StochasticDepth, shortcut
from clrbench.training.module import Classifier, standardize, training_loss

pytestmark = pytest.mark.usefixtures("one_thread")
CIFAR = (3, 32, 32)


def build(net, seed=0, shape=CIFAR, classes=10, **settings):
    torch.manual_seed(seed)
    return net(shape, classes, **settings)


def parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


# ------------------------------------------------------------------------------------------------------- size and depth


# He et al., Table 6, in millions: 0.27, 0.46, 0.66, 0.85, 1.7.
@pytest.mark.parametrize("net", [ResNet, StochasticDepth])
@pytest.mark.parametrize(
    ("depth", "told", "count"),
    [
        (20, "0.27", 269_722),
        (32, "0.46", 464_154),
        (44, "0.66", 658_586),
        (56, "0.85", 853_018),
        (110, "1.7", 1_727_962),
    ],
)
def test_a_residual_net_has_the_papers_number_of_parameters(net, depth, told, count):
    assert parameters(build(net, depth=depth)) == count
    assert f"{count / 1e6:.{len(told) - 2}f}" == told


# Huang et al., Table 2, in millions: 1.0 and 0.8.
@pytest.mark.parametrize(
    ("settings", "told", "count"),
    [({}, "1.0", 1_019_722), ({"depth": 100, "bottleneck": True}, "0.8", 769_162)],
)
def test_a_dense_net_has_the_papers_number_of_parameters(settings, told, count):
    assert parameters(build(DenseNet, **settings)) == count
    assert f"{count / 1e6:.1f}" == told


@pytest.mark.parametrize("net", [ResNet, StochasticDepth])
def test_a_residual_net_is_110_layers_deep_unless_told_otherwise(net):
    assert parameters(build(net)) == 1_727_962


@pytest.mark.parametrize(
    ("net", "settings"),
    [
        *itertools.product([ResNet, StochasticDepth], [{"depth": 8}, {"depth": 14}]),
        *(
            (DenseNet, {"depth": depth, "bottleneck": bottleneck})
            for depth, bottleneck in ((7, False), (10, False), (10, True))
        ),
    ],
)
def test_the_depth_counts_the_layers_that_have_weights(net, settings):
    layers = [module for module in build(net, **settings).modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    assert len(layers) == settings["depth"]


@pytest.mark.parametrize(
    ("net", "settings", "allowed"),
    [
        *((net, {"depth": depth}, r"it must be 6n\+2") for net in (ResNet, StochasticDepth) for depth in (-4, 2, 18, 21, 111)),
        *((DenseNet, {"depth": depth}, r"it must be 3n\+4") for depth in (1, 4, 39, 41)),
        *((DenseNet, {"depth": depth, "bottleneck": True}, r"it must be 6n\+4") for depth in (4, 13, 101)),
    ],
)
def test_another_depth_is_refused_with_what_is_allowed(net, settings, allowed):
    with pytest.raises(ValueError, match=f"depth={settings['depth']} is impossible: {allowed}"):
        build(net, **settings)


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_an_impossible_probability_is_refused(share):
    with pytest.raises(ValueError, match=f"last_survival={share} is impossible"):
        build(StochasticDepth, last_survival=share)


@pytest.mark.parametrize(
    ("net", "settings"),
    [
        (ResNet, {"depth": 8}),
        (StochasticDepth, {"depth": 8}),
        (DenseNet, {"depth": 7}),
        (DenseNet, {"depth": 10, "bottleneck": True}),
    ],
)
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (1, 8, 8), (3, 33, 47)])
def test_it_takes_images_of_any_size_and_number_of_classes(net, settings, shape):
    assert build(net, shape=shape, classes=7, **settings)(torch.randn(2, *shape)).shape == (2, 7)


# ------------------------------------------------------------------------------------------------------ initial weights


@pytest.mark.parametrize(
    ("net", "settings"), [(ResNet, {"depth": 20}), (StochasticDepth, {"depth": 20}), (DenseNet, {"depth": 13})]
)
def test_convolutions_start_as_gaussians_of_he_spread(net, settings):
    for layer in build(net, **settings).modules():
        if isinstance(layer, nn.Conv2d):
            weights = layer.weight.detach().flatten()
            spread = (2 / (layer.out_channels * layer.kernel_size[0] ** 2)) ** 0.5
            noise = 4 / weights.numel() ** 0.5  # four standard errors
            assert weights.mean() / spread == pytest.approx(0, abs=noise)
            assert weights.std() / spread == pytest.approx(1, abs=noise)


# --------------------------------------------------------------------------------------------------------- residual nets


def naive_shortcut(x, outputs, pool):
    """Option A, value by value: the mean of `pool` x `pool` pixels at every other place, then channels of zeros."""
    images, inputs, height, width = x.shape
    y = torch.zeros(images, outputs, -(-height // 2), -(-width // 2), dtype=x.dtype)
    for i, j in itertools.product(range(y.shape[2]), range(y.shape[3])):
        y[:, :inputs, i, j] = x[:, :, 2 * i : 2 * i + pool, 2 * j : 2 * j + pool].mean((2, 3))
    return y


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_shortcut_between_stages_halves_the_image_and_adds_channels_of_zeros(pool, memory_format):
    x = torch.randn(2, 4, 5, 6).to(memory_format=memory_format)
    layer = shortcut(4, 8, pool)
    assert not list(layer.parameters())
    torch.testing.assert_close(layer(x), naive_shortcut(x, 8, pool))


def naive_norm(x, norm):
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]


def naive_residual(block, x, stride):
    x = naive_norm(F.conv2d(x, block.conv1.weight, stride=stride, padding=1), block.bn1).relu()
    return naive_norm(F.conv2d(x, block.conv2.weight, padding=1), block.bn2)


def naive_resnet(net, x, pool):
    x = naive_norm(F.conv2d(x, net.conv.weight, padding=1), net.norm).relu()
    for number, stage in enumerate((net.stage1, net.stage2, net.stage3)):
        for at, block in enumerate(stage):
            is_between = number > 0 and at == 0
            around = naive_shortcut(x, 2 * x.shape[1], pool) if is_between else x
            x = (naive_residual(block, x, 2 if is_between else 1) + around).relu()
    return x.mean((2, 3)) @ net.fc.weight.T + net.fc.bias


def with_norms_that_matter(net):
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data = 0.5 + torch.rand(module.weight.shape, generator=generator)
            module.bias.data = torch.randn(module.bias.shape, generator=generator)
    return net.double()


@pytest.mark.parametrize(("net", "settings", "pool"), [(ResNet, {}, 1), (StochasticDepth, {"last_survival": 1}, 2)])
def test_the_residual_net_equals_a_naive_one_in_scores_and_gradients(net, settings, pool):
    built = with_norms_that_matter(build(net, depth=14, **settings))
    x, labels = torch.randn(4, 3, 12, 12).double(), torch.tensor([3, 9, 0, 3])
    found, expected = built(x), naive_resnet(built, x, pool)
    torch.testing.assert_close(found, expected)
    weights = list(built.parameters())
    for have, want in zip(
        torch.autograd.grad(F.cross_entropy(found, labels), weights),
        torch.autograd.grad(F.cross_entropy(expected, labels), weights),
        strict=True,
    ):
        torch.testing.assert_close(have, want)


# ------------------------------------------------------------------------------------------------------ stochastic depth


def blocks_of(net):
    return [module for module in net.modules() if isinstance(module, StochasticBlock)]


def test_survival_declines_linearly_to_a_half_at_the_last_block():
    survival = [block.survival for block in blocks_of(build(StochasticDepth))]
    assert len(survival) == 54
    assert survival == pytest.approx([1 - number / 54 * 0.5 for number in range(1, 55)])


def test_each_step_draws_one_number_a_block_from_torchs_state_whatever_comes_of_it():
    net = build(StochasticDepth, depth=20)
    torch.manual_seed(5)
    net(torch.randn(2, *CIFAR, generator=torch.Generator().manual_seed(0)))
    after = torch.get_rng_state()
    torch.manual_seed(5)
    torch.rand(9)
    assert torch.equal(torch.rand(1), _next_number(after))


def _next_number(state):
    torch.set_rng_state(state)
    return torch.rand(1)


def test_in_evaluation_nothing_is_drawn():
    net = build(StochasticDepth, depth=8).eval()
    before = torch.get_rng_state()
    net(torch.ones(1, *CIFAR))
    assert torch.equal(torch.get_rng_state(), before)


def surviving(net, steps):
    """Which blocks computed something, step by step: (steps, blocks)."""
    computed = []
    for at, block in enumerate(blocks_of(net)):
        block.conv1.register_forward_hook(lambda *_, at=at: computed[-1].append(at))
    for _ in range(steps):
        computed.append([])
        net(torch.ones(2, 3, 4, 4))
    return torch.tensor([[at in step for at in range(len(blocks_of(net)))] for step in computed])


@pytest.mark.slow
def test_a_block_survives_as_often_as_it_should_and_is_not_computed_otherwise():
    net = build(StochasticDepth, depth=20, last_survival=0.2)
    shares = surviving(net, steps=400).double().mean(0)
    expected = torch.tensor([block.survival for block in blocks_of(net)])
    assert ((shares - expected).abs() < 4 * (expected * (1 - expected) / 400).sqrt()).all()


@pytest.mark.slow
def test_the_blocks_of_a_step_are_left_out_independently_of_each_other():
    net = build(StochasticDepth, depth=14, last_survival=0.5)
    survived = surviving(net, steps=400).double()
    pairs = torch.corrcoef(survived.T)
    assert (pairs - torch.eye(len(pairs))).abs().max() < 4 / 400**0.5


@pytest.mark.parametrize("block", [StochasticBlock(4, 4), StochasticBlock(4, 8, stride=2, downsample=shortcut(4, 8, pool=2))])
def test_a_block_that_is_left_out_is_its_shortcut_alone_and_learns_nothing(block):
    block.survival = 0.0
    x = torch.rand(2, 4, 6, 6, requires_grad=True)
    expected = x if block.downsample is None else naive_shortcut(x, 8, pool=2)
    torch.testing.assert_close(block(x), expected)
    block(x).sum().backward()
    assert all(parameter.grad is None for parameter in block.parameters())
    assert block.bn1.num_batches_tracked == 0


@pytest.mark.parametrize("survival", [0.25, 1.0])
def test_in_evaluation_the_residual_counts_by_its_probability(survival):
    block = with_norms_that_matter(StochasticBlock(4, 4)).eval()
    block.survival = survival
    x = torch.rand(2, 4, 6, 6).double()
    residual = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
    torch.testing.assert_close(block(x), (x + survival * residual).relu())


def test_in_training_the_residual_of_a_block_that_survives_counts_whole():
    block = with_norms_that_matter(StochasticBlock(4, 4))
    block.survival = 0.9999
    x = torch.rand(2, 4, 6, 6).double()
    torch.manual_seed(0)
    torch.testing.assert_close(block(x), (x + naive_residual(block, x, stride=1)).relu())


# ------------------------------------------------------------------------------------------------------------ dense nets


def test_a_dense_block_of_bottlenecks_equals_torchvisions():
    ours, theirs = DenseBlock(8, 3, 4, bottleneck=True), torchvisions._DenseBlock(3, 8, bn_size=4, growth_rate=4, drop_rate=0)
    weights = list(ours.state_dict().values())
    theirs.load_state_dict(dict(zip(theirs.state_dict(), weights, strict=True)))
    x = torch.randn(2, 8, 6, 6)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_a_transition_equals_torchvisions():
    ours, theirs = build(DenseNet, depth=10, bottleneck=True).transition1, torchvisions._Transition(36, 18)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    x = torch.randn(2, 36, 6, 6)
    torch.testing.assert_close(ours(x), theirs(x))


def test_a_plain_layer_sees_the_blocks_input_and_the_outputs_of_all_layers_before():
    block = with_norms_that_matter(DenseBlock(4, 2, 3, bottleneck=False))
    x = torch.randn(2, 4, 6, 6).double()
    first = F.conv2d(naive_norm(x, block[0][0]).relu(), block[0][2].weight, padding=1)
    both = torch.cat((x, first), dim=1)
    second = F.conv2d(naive_norm(both, block[1][0]).relu(), block[1][2].weight, padding=1)
    torch.testing.assert_close(block(x), torch.cat((both, second), dim=1))


@pytest.mark.parametrize(
    ("settings", "channels"),
    # 16, +12 a layer, kept by a transition; 2k, +12 a layer, halved by a transition.
    [({"depth": 10}, [16, 40, 40, 64, 64, 88]), ({"depth": 16, "bottleneck": True}, [24, 48, 24, 48, 24, 48])],
)
def test_the_channels_of_a_dense_net_are_the_papers(settings, channels):
    net = build(DenseNet, **settings)
    x, seen = torch.randn(2, *CIFAR), []
    for name, layer in net.named_children():
        x = layer(x)
        if name.startswith(("conv", "block", "transition")):
            seen.append((x.shape[1], x.shape[2]))
    assert seen == list(zip(channels, [32, 32, 16, 16, 8, 8], strict=True))


# --------------------------------------------------------------------------------------------------------- ImageNet nets


@pytest.mark.parametrize(("net", "count"), [(AlexNet, 61_100_840), (GoogLeNet, 13_004_888)])
def test_a_net_for_imagenet_is_torchvisions_untrained_and_built_in_silence(net, count):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built = build(net, shape=(3, 224, 224), classes=1000)
    assert parameters(built) == count


@pytest.mark.parametrize("net", [AlexNet, GoogLeNet])
def test_in_evaluation_a_net_for_imagenet_puts_out_scores_alone(net):
    scores = build(net, shape=(3, 64, 64), classes=7).eval()(torch.randn(2, 3, 64, 64))
    assert scores.shape == (2, 7)


@pytest.mark.parametrize(("net", "shape"), [(AlexNet, (1, 224, 224)), (AlexNet, (3, 224, 62)), (GoogLeNet, (3, 14, 64))])
def test_images_that_a_net_for_imagenet_cannot_take_are_refused(net, shape):
    _, height, width = shape
    with pytest.raises(
        ValueError, match=f"images of {height}x{width}x{shape[0]} are not for this net: it takes colour images of"
    ):
        build(net, shape=shape)


def test_the_smallest_images_that_are_taken_have_scores():
    for net, side in ((AlexNet, 63), (GoogLeNet, 15)):
        assert build(net, shape=(3, side, side), classes=2).eval()(torch.zeros(1, 3, side, side)).shape == (1, 2)


def test_auxiliary_scores_count_three_tenths_each_in_the_loss():
    scores, labels = torch.randn(3, 4, 5), torch.tensor([0, 4, 2, 2])
    each = [F.cross_entropy(some, labels) for some in scores]
    torch.testing.assert_close(training_loss(scores[0], labels), each[0])
    torch.testing.assert_close(training_loss(tuple(scores), labels), each[0] + 0.3 * each[1] + 0.3 * each[2])


def test_a_training_step_of_googlenet_teaches_its_auxiliary_classifiers():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    net = build(GoogLeNet, shape=(3, 16, 16), classes=3)
    module = Classifier(standardize(Images(pixels, np.zeros(4, int)), np.arange(4)), net, torch.optim.SGD)
    module.training_step((torch.from_numpy(pixels), torch.tensor([0, 1, 2, 0])), 0).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in (net.fc.weight, net.aux1.fc2.weight, net.aux2.fc2.weight))
