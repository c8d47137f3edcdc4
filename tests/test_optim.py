from pathlib import Path

import hydra
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from clrbench.optim import CaffeSGD, parameter_groups

CONFIGS = sorted((Path(__file__).parents[1] / "conf" / "optimizer").glob("*.yaml"))
GRADIENTS = np.array([[0.5, -2.0, 0.003], [0.25, 1.0, -0.001], [-1.5, 0.5, 0.02], [0.1, 0.1, 0.0], [2.0, -0.3, 0.004]])
RATES = [0.1, 0.3, 0.02, 0.2, 0.05]


def weight(*values, dtype=torch.float64):
    return nn.Parameter(torch.tensor(values, dtype=dtype))


def step(optimizer, parameter, gradient, rate=None):
    if rate is not None:
        optimizer.param_groups[0]["lr"] = rate
    parameter.grad = torch.as_tensor(gradient, dtype=parameter.dtype).reshape(parameter.shape)
    optimizer.step()


def path(optimizer, parameter, rates=RATES, gradients=GRADIENTS):
    """The weights after each step."""
    weights = []
    for rate, gradient in zip(rates, gradients, strict=True):
        step(optimizer, parameter, gradient, rate)
        weights.append(parameter.detach().tolist())
    return np.array(weights)


# ----------------------------------------------------------------------------------------------- Caffe's SGD, by hand


def test_the_velocity_keeps_the_rate_of_its_own_time():
    w = weight(1.0)
    optimizer = CaffeSGD([w], momentum=0.9)
    step(optimizer, w, 2.0, rate=0.1)  # v = 0.2
    assert w.item() == pytest.approx(0.8)
    step(optimizer, w, 1.0, rate=0.5)  # v = 0.9 * 0.2 + 0.5 = 0.68
    assert w.item() == pytest.approx(0.12)


def test_weight_decay_is_added_to_the_gradient():
    w = weight(1.0)
    optimizer = CaffeSGD([w], momentum=0.9, weight_decay=0.5)
    step(optimizer, w, 2.0, rate=0.1)  # v = 0.1 * (2 + 0.5 * 1) = 0.25
    assert w.item() == pytest.approx(0.75)
    step(optimizer, w, 1.0, rate=0.2)  # v = 0.9 * 0.25 + 0.2 * (1 + 0.5 * 0.75) = 0.5
    assert w.item() == pytest.approx(0.25)


def test_nesterov_steps_from_the_velocity_ahead():
    w = weight(1.0)
    optimizer = CaffeSGD([w], momentum=0.9, nesterov=True)
    step(optimizer, w, 2.0, rate=0.1)  # v = 0.2; w -= 1.9 * 0.2
    assert w.item() == pytest.approx(0.62)
    step(optimizer, w, 1.0, rate=0.5)  # v = 0.68; w -= 1.9 * 0.68 - 0.9 * 0.2 = 1.112
    assert w.item() == pytest.approx(-0.492)


def test_nesterov_takes_the_gradient_of_the_decay_at_the_weight_itself():
    w = weight(1.0)
    optimizer = CaffeSGD([w], momentum=0.5, weight_decay=0.5, nesterov=True)
    step(optimizer, w, 1.5, rate=0.1)  # v = 0.1 * (1.5 + 0.5) = 0.2; w -= 1.5 * 0.2
    assert w.item() == pytest.approx(0.7)
    step(optimizer, w, 0.65, rate=0.2)  # v = 0.1 + 0.2 * (0.65 + 0.35) = 0.3; w -= 1.5 * 0.3 - 0.5 * 0.2 = 0.35
    assert w.item() == pytest.approx(0.35)


def test_a_step_without_momentum_is_plain_gradient_descent():
    w = weight(1.0)
    optimizer = CaffeSGD([w], momentum=0.0)
    step(optimizer, w, 2.0, rate=0.1)
    step(optimizer, w, 1.0, rate=0.5)
    assert w.item() == pytest.approx(0.3)


def caffe_path(start, weight_decay, nesterov, momentum=0.9):
    """Caffe's formulas, as in sgd_solver.cpp and nesterov_solver.cpp."""
    w, history, weights = np.array(start), np.zeros(3), []
    for rate, gradient in zip(RATES, GRADIENTS, strict=True):
        before = history
        history = momentum * history + rate * (gradient + weight_decay * w)
        w = w - ((1 + momentum) * history - momentum * before if nesterov else history)
        weights.append(w)
    return np.array(weights)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.004])
def test_a_path_of_changing_rates_is_caffes(weight_decay, nesterov):
    w = weight(1.0, -0.5, 0.25)
    found = path(CaffeSGD([w], weight_decay=weight_decay, nesterov=nesterov), w)
    np.testing.assert_allclose(found, caffe_path([1.0, -0.5, 0.25], weight_decay, nesterov), rtol=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
def test_torchs_sgd_goes_another_way_when_the_rate_moves(nesterov):
    ours, theirs = weight(1.0, -0.5, 0.25), weight(1.0, -0.5, 0.25)
    found = path(CaffeSGD([ours], momentum=0.9, nesterov=nesterov), ours)
    other = path(torch.optim.SGD([theirs], lr=1.0, momentum=0.9, nesterov=nesterov), theirs)
    np.testing.assert_allclose(found[0], other[0], rtol=1e-12)
    assert (np.abs(found[1:] - other[1:])[:, :2] > 1e-3).all()


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.004])
def test_torchs_sgd_goes_the_same_way_while_the_rate_stands_still(weight_decay, nesterov):
    options = {"momentum": 0.9, "weight_decay": weight_decay, "nesterov": nesterov}
    ours, theirs = weight(1.0, -0.5, 0.25), weight(1.0, -0.5, 0.25)
    found = path(CaffeSGD([ours], **options), ours, [0.1] * 5)
    np.testing.assert_allclose(found, path(torch.optim.SGD([theirs], lr=1.0, **options), theirs, [0.1] * 5), rtol=1e-12)


def test_each_group_has_its_own_rate_and_decay():
    first, second = weight(1.0), weight(1.0)
    optimizer = CaffeSGD([{"params": [first]}, {"params": [second], "lr": 0.2, "weight_decay": 1.0}], lr=0.1)
    first.grad, second.grad = torch.ones_like(first), torch.ones_like(second)
    optimizer.step()
    assert first.item() == pytest.approx(0.9)
    assert second.item() == pytest.approx(0.6)


def test_a_parameter_without_gradient_stays_where_it_is():
    still, moving = weight(1.0), weight(1.0)
    optimizer = CaffeSGD([still, moving], lr=0.1, weight_decay=0.5)
    step(optimizer, moving, 1.0)
    assert still.item() == 1.0
    assert moving.item() == pytest.approx(0.85)


def test_a_step_leaves_the_gradient_as_it_is():
    w = weight(1.0)
    step(CaffeSGD([w], lr=0.1, weight_decay=0.5, nesterov=True), w, 2.0)
    assert w.grad.item() == 2.0


def test_a_step_returns_the_loss_of_its_closure():
    w = weight(3.0)
    optimizer = CaffeSGD([w], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = w.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9.0
    assert w.item() == pytest.approx(3.0 - 0.1 * 6.0)


def test_a_step_without_closure_returns_nothing():
    w = weight(3.0)
    w.grad = torch.ones_like(w)
    assert CaffeSGD([w], lr=0.1).step() is None


@pytest.mark.parametrize("nesterov", [False, True])
def test_an_optimizer_goes_on_from_its_saved_state(tmp_path, nesterov):
    start = weight(1.0, -0.5, 0.25)
    undisturbed = path(CaffeSGD([start], weight_decay=0.004, nesterov=nesterov), start)

    first = weight(1.0, -0.5, 0.25)
    optimizer = CaffeSGD([first], weight_decay=0.004, nesterov=nesterov)
    path(optimizer, first, RATES[:2], GRADIENTS[:2])
    torch.save({"weights": first.detach(), "optimizer": optimizer.state_dict()}, tmp_path / "state.pt")

    state = torch.load(tmp_path / "state.pt", weights_only=True)
    second = nn.Parameter(state["weights"])
    resumed = CaffeSGD([second])
    resumed.load_state_dict(state["optimizer"])
    np.testing.assert_array_equal(path(resumed, second, RATES[2:], GRADIENTS[2:]), undisturbed[2:])


# --------------------------------------------------------------------------------------------------- parameter groups


def two_layers():
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def group_of(parameter, groups):
    [group] = [group for group in groups if any(member is parameter for member in group["params"])]
    return group


def test_parameters_of_the_same_multipliers_share_a_group():
    net = two_layers()
    groups = parameter_groups(net, 0.01, {"0.bias": (2, 1), "1.bias": (2, 1)})
    assert len(groups) == 2
    assert group_of(net[0].bias, groups) is group_of(net[1].bias, groups)
    assert group_of(net[0].weight, groups) is group_of(net[1].weight, groups)


def test_each_parameter_is_in_exactly_one_group():
    net = two_layers()
    groups = parameter_groups(net, 0.01, {"0.bias": (2, 1), "1.weight": (1, 250)})
    members = [id(member) for group in groups for member in group["params"]]
    assert sorted(members) == sorted(id(parameter) for parameter in net.parameters())


def test_a_group_has_the_rates_multiplier_and_its_share_of_the_decay():
    net = two_layers()
    groups = parameter_groups(net, 0.004, {"1.weight": (1, 250), "1.bias": (2, 0)})
    multipliers = [
        (group["lr_mult"], group["weight_decay"])
        for group in (group_of(parameter, groups) for parameter in (net[0].weight, net[1].weight, net[1].bias))
    ]
    assert multipliers == [(1.0, 0.004), (1.0, 1.0), (2.0, 0.0)]


def test_a_parameter_that_is_not_named_has_multipliers_of_1():
    [group] = parameter_groups(two_layers(), 0.01, {})
    assert (group["lr_mult"], group["weight_decay"], len(group["params"])) == (1.0, 0.01, 4)


def test_multipliers_for_a_parameter_that_does_not_exist_are_refused():
    with pytest.raises(KeyError, match=r"2\.bias is not a parameter of Sequential"):
        parameter_groups(two_layers(), 0.01, {"2.bias": (2, 1)})


# ------------------------------------------------------------------------------------------------ the configured rules


def configured(name, parameters):
    """The optimizer of conf/optimizer, made as a run makes it, and set to train where it knows of that."""
    config = OmegaConf.load(CONFIGS[0].parent / f"{name}.yaml")
    optimizer = hydra.utils.instantiate(config.optimizer.rule, parameters, lr=1.0, _convert_="all")
    getattr(optimizer, "train", lambda: None)()
    return optimizer


def configured_path(name):
    w = weight(1.0, -0.5, 0.25)
    return path(configured(name, [w]), w)


@pytest.mark.parametrize("name", [config.stem for config in CONFIGS])
def test_every_configured_optimizer_trains_the_groups_of_a_net(name):
    net = two_layers()
    optimizer = configured(name, parameter_groups(net, 0.004, {"1.weight": (1, 250), "1.bias": (2, 0)}))
    assert [group["lr_mult"] for group in optimizer.param_groups] == [1.0, 1.0, 2.0]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.004, 1.0, 0.0]
    before = net[0].weight.detach().clone()
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert not torch.equal(net[0].weight, before)


@pytest.mark.parametrize("name", [config.stem for config in CONFIGS])
def test_every_configured_optimizer_adds_the_decay_to_the_gradient(name):
    decayed, plain = weight(1.0, -0.5, 0.25), weight(1.0, -0.5, 0.25)
    with_decay = configured(name, [{"params": [decayed], "weight_decay": 0.5}])
    without = configured(name, [{"params": [plain], "weight_decay": 0.0}])
    for rate, gradient in zip(RATES, GRADIENTS, strict=True):
        step(without, plain, gradient + 0.5 * plain.detach().numpy(), rate)
        step(with_decay, decayed, gradient, rate)
        np.testing.assert_allclose(decayed.detach(), plain.detach(), rtol=1e-12)


@pytest.mark.parametrize(("name", "nesterov"), [("caffe_sgd", False), ("nesterov", True)])
def test_the_configured_sgd_is_caffes(name, nesterov):
    np.testing.assert_allclose(configured_path(name), caffe_path([1.0, -0.5, 0.25], 0.0, nesterov), rtol=1e-12)


def test_the_configured_sgd_of_torch_keeps_the_rate_outside_the_velocity():
    w, velocity = np.array([1.0, -0.5, 0.25]), np.zeros(3)
    for rate, gradient, found in zip(RATES, GRADIENTS, configured_path("sgd"), strict=True):
        velocity = 0.9 * velocity + gradient
        w = w - rate * velocity
        np.testing.assert_allclose(found, w, rtol=0, atol=1e-12)


def test_the_configured_adam_makes_caffes_steps():
    w, m, v = np.array([1.0, -0.5, 0.25]), np.zeros(3), np.zeros(3)
    for t, (rate, gradient, found) in enumerate(zip(RATES, GRADIENTS, configured_path("adam"), strict=True), start=1):
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        w = w - rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-8)
        # torch adds eps to the corrected root, Caffe to the raw one: they part by eps / sqrt(v), here up to 1e-4.
        np.testing.assert_allclose(found, w, atol=1e-4 * sum(RATES), rtol=0)


def test_the_configured_rmsprop_makes_caffes_steps():
    w, history = np.array([1.0, -0.5, 0.25]), np.zeros(3)
    for rate, gradient, found in zip(RATES, GRADIENTS, configured_path("rmsprop"), strict=True):
        history = 0.99 * history + 0.01 * gradient**2
        w = w - rate * gradient / (np.sqrt(history) + 1e-8)
        np.testing.assert_allclose(found, w, rtol=0, atol=1e-12)


def test_the_configured_adagrad_makes_caffes_steps():
    w, history = np.array([1.0, -0.5, 0.25]), np.zeros(3)
    for rate, gradient, found in zip(RATES, GRADIENTS, configured_path("adagrad"), strict=True):
        history = history + gradient**2
        w = w - rate * gradient / (np.sqrt(history) + 1e-8)
        np.testing.assert_allclose(found, w, rtol=0, atol=1e-12)


def test_the_configured_adadelta_makes_caffes_steps():
    w, squares, updates = np.array([1.0, -0.5, 0.25]), np.zeros(3), np.zeros(3)
    for rate, gradient, found in zip(RATES, GRADIENTS, configured_path("adadelta"), strict=True):
        squares = 0.9 * squares + 0.1 * gradient**2
        update = gradient * np.sqrt((updates + 1e-8) / (squares + 1e-8))
        updates = 0.9 * updates + 0.1 * update**2
        w = w - rate * update
        # The steps are tiny: compare them, not the weights.
        np.testing.assert_allclose(found - [1.0, -0.5, 0.25], w - [1.0, -0.5, 0.25], rtol=1e-9)
