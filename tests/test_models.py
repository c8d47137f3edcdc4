import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from clrbench.data.images import Images
from clrbench.models import Cifar10Full, Cifar10FullSigmoidBN, Cifar10Quick, Linear, SmallCNN
from clrbench.models.caffe import CaffeBatchNorm
from clrbench.models.lrn import WithinChannelLRN
from clrbench.optim import parameter_groups
from clrbench.training.module import Classifier, mean_image, standardize

pytestmark = pytest.mark.usefixtures("one_thread")
CIFAR = (3, 32, 32)
CAFFE_NETS = [Cifar10Full, Cifar10Quick, Cifar10FullSigmoidBN]


def build(net, seed=0, shape=CIFAR, classes=10):
    torch.manual_seed(seed)
    return net(shape, classes)


def outputs_of_layers(net, x):
    """What each layer puts out, by name, as copies: the ReLUs overwrite their input."""
    outputs = {}
    for name, layer in net.named_children():
        x = layer(x)
        outputs[name] = x.clone()
    return outputs


# ------------------------------------------------------------------------------------------- size and order of the nets


@pytest.mark.parametrize(("net", "count"), [(Cifar10Full, 89_578), (Cifar10Quick, 145_578), (Cifar10FullSigmoidBN, 89_450)])
def test_a_net_has_as_many_parameters_as_caffes(net, count):
    assert sum(parameter.numel() for parameter in build(net).parameters()) == count


@pytest.mark.parametrize(
    ("net", "layers"),
    [
        (Cifar10Full, "conv1 pool1 relu1 norm1 conv2 relu2 pool2 norm2 conv3 relu3 pool3 flatten ip1"),
        (Cifar10Quick, "conv1 pool1 relu1 conv2 relu2 pool2 conv3 relu3 pool3 flatten ip1 ip2"),
        (
            Cifar10FullSigmoidBN,
            "conv1 pool1 bn1 sigmoid1 conv2 bn2 sigmoid2 pool2 conv3 bn3 sigmoid3 pool3 flatten ip1",
        ),
    ],
)
def test_the_layers_stand_in_caffes_order(net, layers):
    assert [name for name, _ in build(net).named_children()] == layers.split()


@pytest.mark.parametrize("net", CAFFE_NETS)
def test_the_first_pooling_takes_the_maximum_and_the_others_the_average(net):
    layers = dict(build(net).named_children())
    assert [type(layers[f"pool{number}"]) for number in (1, 2, 3)] == [nn.MaxPool2d, nn.AvgPool2d, nn.AvgPool2d]


@pytest.mark.parametrize("net", CAFFE_NETS)
def test_pooling_rounds_up(net):
    outputs = outputs_of_layers(build(net), torch.randn(2, *CIFAR))
    shapes = {name: tuple(outputs[name].shape[1:]) for name in ("conv1", "pool1", "conv2", "pool2", "conv3", "pool3")}
    assert shapes == {
        "conv1": (32, 32, 32),
        "pool1": (32, 16, 16),
        "conv2": (32, 16, 16),
        "pool2": (32, 8, 8),
        "conv3": (64, 8, 8),
        "pool3": (64, 4, 4),
    }


def test_the_inner_products_of_quick_have_64_and_10_outputs():
    outputs = outputs_of_layers(build(Cifar10Quick), torch.randn(2, *CIFAR))
    assert outputs["ip1"].shape == (2, 64)
    assert outputs["ip2"].shape == (2, 10)


def test_quick_has_no_relu_after_ip1():
    net = build(Cifar10Quick)
    outputs = outputs_of_layers(net, torch.randn(4, *CIFAR) * 1e4)
    assert (outputs["ip1"] < 0).any()
    torch.testing.assert_close(outputs["ip2"], outputs["ip1"] @ net.ip2.weight.T + net.ip2.bias)


@pytest.mark.parametrize("net", [*CAFFE_NETS, SmallCNN, Linear])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (1, 8, 8), (3, 33, 47)])
def test_every_net_takes_images_of_any_size_and_number_of_classes(net, shape):
    assert build(net, shape=shape, classes=7)(torch.randn(2, *shape)).shape == (2, 7)


# ------------------------------------------------------------------------------------------------------ initial weights

SPREADS = {
    Cifar10Full: {"conv1": 1e-4, "conv2": 0.01, "conv3": 0.01, "ip1": 0.01},
    Cifar10Quick: {"conv1": 1e-4, "conv2": 0.01, "conv3": 0.01, "ip1": 0.1, "ip2": 0.1},
    Cifar10FullSigmoidBN: {"conv1": 1e-4, "conv2": 0.01, "conv3": 0.01, "ip1": 0.01},
}


@pytest.mark.parametrize(("net", "layer"), [(net, layer) for net, spreads in SPREADS.items() for layer in spreads])
def test_weights_start_as_a_gaussian_of_caffes_spread(net, layer):
    weights = getattr(build(net), layer).weight.detach().flatten()
    spread = SPREADS[net][layer]
    noise = 4 / weights.numel() ** 0.5  # four standard errors
    assert weights.mean() / spread == pytest.approx(0, abs=noise)
    assert weights.std() / spread == pytest.approx(1, abs=noise)
    # 68% of a Gaussian lie within one spread, but 58% of a uniform distribution.
    assert (weights.abs() < spread).float().mean() == pytest.approx(0.683, abs=0.05)


@pytest.mark.parametrize("net", CAFFE_NETS)
def test_biases_start_at_0(net):
    biases = {name: value for name, value in build(net).named_parameters() if name.endswith("bias")}
    assert biases
    assert all(not bias.any() for bias in biases.values())


def test_the_convolutions_of_the_normalised_net_have_no_bias():
    names = {name for name, _ in build(Cifar10FullSigmoidBN).named_parameters()}
    assert names == {"conv1.weight", "conv2.weight", "conv3.weight", "ip1.weight", "ip1.bias"}


@pytest.mark.parametrize("net", CAFFE_NETS)
def test_the_seed_decides_the_initial_weights(net):
    first, again, other = (build(net, seed).conv2.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


# ---------------------------------------------------------------------------------------------------------- multipliers

MULTIPLIERS = [
    (Cifar10Full, "conv1.weight", 1, 1),
    (Cifar10Full, "conv1.bias", 2, 1),
    (Cifar10Full, "conv2.weight", 1, 1),
    (Cifar10Full, "conv2.bias", 2, 1),
    (Cifar10Full, "conv3.weight", 1, 1),
    (Cifar10Full, "conv3.bias", 1, 1),
    (Cifar10Full, "ip1.weight", 1, 250),
    (Cifar10Full, "ip1.bias", 2, 0),
    *((Cifar10Quick, f"{layer}.weight", 1, 1) for layer in ("conv1", "conv2", "conv3", "ip1", "ip2")),
    *((Cifar10Quick, f"{layer}.bias", 2, 1) for layer in ("conv1", "conv2", "conv3", "ip1", "ip2")),
    *((Cifar10FullSigmoidBN, f"{layer}.weight", 1, 1) for layer in ("conv1", "conv2", "conv3", "ip1")),
    (Cifar10FullSigmoidBN, "ip1.bias", 1, 0),
]


def test_the_table_of_multipliers_names_every_parameter():
    named = {(net, name) for net, name, _, _ in MULTIPLIERS}
    assert named == {(net, name) for net in CAFFE_NETS for name, _ in build(net).named_parameters()}


@pytest.mark.parametrize(("net", "name", "lr_mult", "decay_mult"), MULTIPLIERS)
def test_each_parameter_has_caffes_multipliers(net, name, lr_mult, decay_mult):
    built = build(net)
    parameter = dict(built.named_parameters())[name]
    [group] = [
        group
        for group in parameter_groups(built, 0.004, built.multipliers)
        if any(member is parameter for member in group["params"])
    ]
    assert group["lr_mult"] == lr_mult
    assert group["weight_decay"] == pytest.approx(0.004 * decay_mult)


# ------------------------------------------------------------------------------------------------------- normalisation


def lrn_by_loops(x):
    """x * (1 + 5e-5 * mean over 3x3 of x^2)^-0.75, zeros beyond the border counted, value by value."""
    images, channels, height, width = x.shape
    y = np.empty_like(x)
    for n, c, i, j in itertools.product(range(images), range(channels), range(height), range(width)):
        window = x[n, c, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
        y[n, c, i, j] = x[n, c, i, j] * (1 + 5e-5 * (window**2).sum() / 9) ** -0.75
    return y


# Values of hundreds, where the normalisation matters: at 1 it would change the fifth digit.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_lrn_equals_its_formula_value_by_value(dtype, tolerance):
    x = 300 * torch.randn(2, 3, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = WithinChannelLRN()(x.to(dtype))
    np.testing.assert_allclose(y.numpy(), lrn_by_loops(x.numpy()), rtol=tolerance)
    assert y.abs().max() < 0.7 * x.abs().max()


def test_lrn_of_a_single_pixel_counts_eight_zeros_around_it():
    y = WithinChannelLRN()(torch.tensor([[[[300.0]]]], dtype=torch.float64))
    assert y.item() == pytest.approx(300 * (1 + 5e-5 * 300**2 / 9) ** -0.75, rel=1e-12)


def test_lrn_keeps_to_its_channel():
    x = torch.zeros(1, 2, 3, 3)
    x[0, 0], x[0, 1, 1, 1] = 1e4, 1.0
    assert WithinChannelLRN()(x)[0, 1, 1, 1] == pytest.approx(1.0, abs=1e-4)


def test_the_gradient_of_lrn_equals_the_numerical_one():
    x = 200 * torch.randn(1, 2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(WithinChannelLRN(), x.requires_grad_(), eps=1e-3, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("net", CAFFE_NETS)
def test_average_pooling_divides_by_the_part_of_the_window_within_the_image(net):
    x = torch.arange(64.0).reshape(1, 1, 8, 8)
    pooled = build(net).pool2(x)[0, 0]
    assert pooled.shape == (4, 4)
    for i, j in itertools.product(range(4), range(4)):
        assert pooled[i, j] == pytest.approx(x[0, 0, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].mean().item())


@pytest.mark.parametrize("net", CAFFE_NETS)
def test_max_pooling_takes_the_part_of_the_window_within_the_image(net):
    x = -1 - torch.arange(64.0).reshape(1, 1, 8, 8)
    pooled = build(net).pool1(x)[0, 0]
    for i, j in itertools.product(range(4), range(4)):
        assert pooled[i, j] == x[0, 0, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max()


def batches(count=3):
    generator = torch.Generator().manual_seed(0)
    return [5 + 3 * torch.randn(4, 2, 3, 3, generator=generator) for _ in range(count)]


def moments(x):
    """Mean and variance of each channel, ready to be broadcast over images."""
    return x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)


def test_batch_normalisation_in_training_takes_the_batchs_own_moments():
    layer = CaffeBatchNorm(2)
    for x in batches():
        mean, variance = moments(x)
        torch.testing.assert_close(layer(x), (x - mean) / (variance + 1e-5).sqrt())


def test_batch_normalisation_has_no_scale_and_shift():
    assert list(CaffeBatchNorm(2).parameters()) == []


@pytest.mark.parametrize("count", [1, 2, 20])
def test_batch_normalisation_in_evaluation_takes_the_moving_averages_over_their_weights(count):
    layer, seen = CaffeBatchNorm(2), batches(count)
    for x in seen:
        layer(x)
    # Caffe: sum = 0.999 * sum + new for the moments and for their weight alike; n / (n - 1) for the variance.
    mean, variance, weight = 0, 0, 0
    for x in seen:
        values = x.numel() / 2
        batch_mean, batch_variance = moments(x.double())
        mean = 0.999 * mean + batch_mean
        variance = 0.999 * variance + batch_variance * values / (values - 1)
        weight = 0.999 * weight + 1
    x = batches(count + 1)[-1]
    expected = (x - mean / weight) / (variance / weight + 1e-5).sqrt()
    torch.testing.assert_close(layer.eval()(x).double(), expected, rtol=1e-3, atol=1e-3)


def test_evaluation_leaves_the_moving_averages_alone():
    layer = CaffeBatchNorm(2)
    layer(batches(1)[0])
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.eval()(batches(2)[1])
    assert all(torch.equal(before[name], value) for name, value in layer.state_dict().items())


# ---------------------------------------------------------------------------------------------- the nets, written naively


def naive_windows(x, beyond):
    """The nine values of each 3x3 window at stride 2 of (n, c, h, w), rounded up, `beyond` standing for what lies outside."""
    height, width = (-(-(side - 3) // 2) + 1 for side in x.shape[2:])
    x = F.pad(x, (0, 1, 0, 1), value=beyond)
    return [x[:, :, i : i + 2 * height : 2, j : j + 2 * width : 2] for i in range(3) for j in range(3)]


def naive_average(x):
    return sum(naive_windows(x, 0)) / sum(naive_windows(torch.ones_like(x), 0))


def naive_maximum(x):
    return torch.stack(naive_windows(x, -1e9)).amax(0)


def naive_lrn(x):
    squares = F.pad(x**2, (1, 1, 1, 1))
    height, width = x.shape[2:]
    total = sum(squares[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3))
    return x * (1 + 5e-5 * total / 9) ** -0.75


def naive_norm(x):
    mean, variance = moments(x)
    return (x - mean) / (variance + 1e-5).sqrt()


def naive_full(w, x):
    x = naive_lrn(naive_maximum(F.conv2d(x, w["conv1.weight"], w["conv1.bias"], padding=2)).relu())
    x = naive_lrn(naive_average(F.conv2d(x, w["conv2.weight"], w["conv2.bias"], padding=2).relu()))
    x = naive_average(F.conv2d(x, w["conv3.weight"], w["conv3.bias"], padding=2).relu())
    return x.flatten(1) @ w["ip1.weight"].T + w["ip1.bias"]


def naive_quick(w, x):
    x = naive_maximum(F.conv2d(x, w["conv1.weight"], w["conv1.bias"], padding=2)).relu()
    x = naive_average(F.conv2d(x, w["conv2.weight"], w["conv2.bias"], padding=2).relu())
    x = naive_average(F.conv2d(x, w["conv3.weight"], w["conv3.bias"], padding=2).relu())
    return (x.flatten(1) @ w["ip1.weight"].T + w["ip1.bias"]) @ w["ip2.weight"].T + w["ip2.bias"]


def naive_sigmoid_bn(w, x):
    x = naive_norm(naive_maximum(F.conv2d(x, w["conv1.weight"], padding=2))).sigmoid()
    x = naive_average(naive_norm(F.conv2d(x, w["conv2.weight"], padding=2)).sigmoid())
    x = naive_average(naive_norm(F.conv2d(x, w["conv3.weight"], padding=2)).sigmoid())
    return x.flatten(1) @ w["ip1.weight"].T + w["ip1.bias"]


NAIVE = {Cifar10Full: naive_full, Cifar10Quick: naive_quick, Cifar10FullSigmoidBN: naive_sigmoid_bn}


def with_weights_that_matter(net):
    """Weights as after a training, so that activations reach the hundreds and LRN changes them, and biases are not 0."""
    built = build(net)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in built.named_parameters():
        fan_in = parameter[0].numel()
        gain = 5.0 if name == "conv1.weight" else 1.0
        spread = gain * fan_in**-0.5 if name.endswith("weight") else 1.0
        parameter.data = spread * torch.randn(parameter.shape, generator=generator)
    return built


def scores_and_gradients(forward, weights, x, labels):
    scores = forward(x)
    loss = F.cross_entropy(scores / 10, labels)
    gradients = torch.autograd.grad(loss, weights)
    return [scores.detach().double(), *(gradient.double() for gradient in gradients)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("net", CAFFE_NETS)
def test_the_net_equals_a_naive_one_in_scores_and_gradients(net, dtype, tolerance):
    built = with_weights_that_matter(net)
    generator = torch.Generator().manual_seed(2)
    x = torch.randint(-128, 128, (2, *CIFAR), generator=generator).double()
    labels = torch.tensor([3, 9])
    # The reference: float64, channels first, a power, and autograd through every step.
    weights = {name: value.detach().double().requires_grad_() for name, value in built.named_parameters()}
    expected = scores_and_gradients(lambda x: NAIVE[net](weights, x), list(weights.values()), x, labels)

    built = built.to(dtype=dtype, memory_format=torch.channels_last)
    x = x.to(dtype=dtype, memory_format=torch.channels_last)
    found = scores_and_gradients(built, list(built.parameters()), x, labels)
    for have, want in zip(found, expected, strict=True):
        assert want.norm() > 0
        assert (have - want).norm() <= tolerance * want.norm()


# ---------------------------------------------------------------------------------------------------------------- input


def pixels(count=20, shape=(6, 5, 3)):
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def labelled(images):
    return Images(images, np.zeros(len(images), np.int64))


def test_the_mean_image_of_the_training_images_is_subtracted():
    images, indices = pixels(), np.array([1, 4, 5, 17])
    prepared = mean_image(labelled(images), indices)(torch.from_numpy(images))
    expected = images - images[indices].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(prepared.numpy(), expected.transpose(0, 3, 1, 2), rtol=0, atol=2e-5)


def test_the_mean_image_has_a_value_per_pixel_and_channel():
    images = np.zeros((2, 2, 2, 1), np.uint8)
    images[:, 0, 1, 0] = [10, 30]
    prepared = mean_image(labelled(images), np.arange(2))(torch.from_numpy(images))
    assert prepared[:, 0].tolist() == [[[0, -10], [0, 0]], [[0, 10], [0, 0]]]


def test_the_mean_image_does_not_scale():
    images = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)
    assert mean_image(labelled(images), np.arange(2))(torch.from_numpy(images)).flatten().tolist() == [-127.5, 127.5]


def test_standardised_training_images_have_mean_0_and_deviation_1_in_each_channel():
    images, indices = pixels(), np.array([0, 2, 3, 9, 11])
    prepared = standardize(labelled(images), indices)(torch.from_numpy(images[indices])).double()
    np.testing.assert_allclose(prepared.mean((0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(prepared.std((0, 2, 3), unbiased=False), 1, atol=1e-6)


def test_standardising_uses_one_mean_and_deviation_per_channel():
    images = pixels()
    channels = images.reshape(-1, 3).astype(np.float64)
    expected = (images - channels.mean(axis=0)) / channels.std(axis=0)
    prepared = standardize(labelled(images), np.arange(20))(torch.from_numpy(images))
    np.testing.assert_allclose(prepared.numpy(), expected.transpose(0, 3, 1, 2), rtol=1e-5, atol=1e-6)


def test_a_channel_without_contrast_is_standardised_to_0():
    images = np.full((4, 2, 2, 1), 77, np.uint8)
    assert not standardize(labelled(images), np.arange(4))(torch.from_numpy(images)).any()


@pytest.mark.parametrize("prepare", [mean_image, standardize])
def test_moments_over_more_images_than_fit_in_one_piece_are_those_of_all(prepare):
    images = pixels(count=5003, shape=(2, 2, 1))
    images[5000:] = 255
    prepared = prepare(labelled(images), np.arange(5003))(torch.from_numpy(images)).double()
    np.testing.assert_allclose(prepared.mean((0, 1, 2, 3) if prepare is standardize else 0), 0, atol=2e-4)


def test_preparing_leaves_the_bytes_as_they_are():
    images = torch.from_numpy(pixels())
    before = images.clone()
    mean_image(labelled(pixels()), np.arange(20))(images)
    assert torch.equal(images, before)


def test_the_classifier_scores_bytes_as_the_net_scores_prepared_images():
    images = pixels(count=4, shape=(32, 32, 3))
    net = with_weights_that_matter(Cifar10Full)
    prepared = torch.from_numpy((images - images.astype(np.float64).mean(axis=0)).transpose(0, 3, 1, 2)).float()
    expected = net(prepared)
    scores = Classifier(mean_image(labelled(images), np.arange(4)), net, torch.optim.SGD)(torch.from_numpy(images))
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-3)
