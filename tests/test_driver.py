"""The rates of optimizers in loops of one's own: groups, wrappers, other masters, states."""

import contextlib
import gc
import math
import pickle
import re
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from clrbench import CyclicLR
from clrbench.schedules import named

CYCLES = {"base_lr": 0.1, "max_lr": 0.5, "step_size": 4}
RATES = named("triangular2", **CYCLES)


def triangular2(**changed):
    return CyclicLR("triangular2", **{**CYCLES, **changed})


def parameter():
    return nn.Parameter(torch.ones(1))


def sgd(*rates, **options):
    """An optimizer with a group for each rate."""
    return torch.optim.SGD([{"params": [parameter()], "lr": rate} for rate in rates or (7.0,)], lr=7.0, **options)


def used_by(optimizer, steps, each=lambda: None):
    """The rates of all groups as each step uses them."""
    rates = []
    handle = optimizer.register_step_pre_hook(
        lambda optimizer, *_: rates.append([float(group["lr"]) for group in optimizer.param_groups])
    )
    for _ in range(steps):
        optimizer.step()
        each()
    handle.remove()
    return rates


def driven(optimizer, callback=None):
    callback = callback or triangular2()
    callback.attach(optimizer)
    return callback


# ----------------------------------------------------------------------------------------------------- groups


@pytest.mark.parametrize("kind", [float, torch.tensor])
def test_groups_keep_the_ratio_of_the_rates_that_they_come_with(kind):
    optimizer = sgd(kind(1e-4), kind(1e-3))
    with pytest.warns(UserWarning, match=r"keeps the ratio of the groups' own rates: they get 0.1, 1 times"):
        driven(optimizer)
    np.testing.assert_allclose(used_by(optimizer, 12), np.outer(RATES(np.arange(12)), [0.1, 1]), rtol=1e-6)


def test_lr_mult_wins_over_the_ratio_and_nothing_is_told(recwarn):
    optimizer = torch.optim.SGD([{"params": [parameter()], "lr": 1e-4, "lr_mult": 2.0}, {"params": [parameter()], "lr": 1e-3}])
    driven(optimizer)
    assert used_by(optimizer, 12) == [[2 * rate, rate] for rate in RATES(np.arange(12))]
    assert not recwarn.list


@pytest.mark.parametrize("multiple", [-1, math.nan, math.inf, None, "x", True])
def test_an_lr_mult_that_is_no_number_of_at_least_0_is_refused_in_whatever_group_comes(multiple):
    words = f"parameter group 1 of SGD has lr_mult={multiple!r}: make it a number of at least 0"
    group = {"params": [parameter()], "lr_mult": multiple}
    with pytest.raises(ValueError, match=words):
        driven(torch.optim.SGD([{"params": [parameter()]}, group], lr=7.0))
    added = sgd()
    driven(added)
    added.add_param_group(group)
    loaded = sgd(7.0, 7.0)
    driven(loaded)
    loaded.load_state_dict(added.state_dict())
    for optimizer in (added, loaded):
        with pytest.raises(ValueError, match=words):
            optimizer.step()


@pytest.mark.parametrize("multiple", [0, 2, np.float32(0.5)])
def test_any_number_of_at_least_0_is_an_lr_mult(multiple):
    optimizer = torch.optim.SGD([{"params": [parameter()], "lr_mult": multiple}], lr=7.0)
    driven(optimizer)
    np.testing.assert_allclose(used_by(optimizer, 3), np.outer(RATES(np.arange(3)), multiple), rtol=1e-6)


def test_groups_whose_rates_are_all_0_get_the_policys():
    optimizer = sgd(0.0, 0.0)
    driven(optimizer)
    assert used_by(optimizer, 5) == [[rate, rate] for rate in RATES(np.arange(5))]


@pytest.mark.parametrize(("own", "share"), [({"lr": 0.05}, 0.5), ({"lr": 10.0}, 1), ({}, 1), ({"lr": 3.0, "lr_mult": 2.0}, 2)])
@pytest.mark.filterwarnings("ignore")
def test_a_group_added_later_keeps_its_share_of_the_policys_rate_but_never_exceeds_it(own, share):
    optimizer = sgd()
    driven(optimizer)
    used_by(optimizer, 8)  # a whole cycle: the policy is at 0.1
    optimizer.add_param_group({"params": [parameter()], **own})
    np.testing.assert_allclose(used_by(optimizer, 6), np.outer(RATES(np.arange(8, 14)), [1, share]), rtol=1e-12)


@pytest.mark.parametrize(("own", "words"), [(0.05, "gets 0.5 times"), (10.0, r"gets 1 times .*\(its own is above that\)")])
def test_what_a_group_added_later_gets_is_told(own, words):
    optimizer = sgd()
    driven(optimizer)
    optimizer.add_param_group({"params": [parameter()], "lr": own})
    with pytest.warns(UserWarning, match=f"group 1, added with the rate {own:g}, {words}"):
        optimizer.step()


def test_a_group_added_where_the_rate_is_0_has_no_share_and_is_told():
    optimizer = sgd()
    driven(optimizer, triangular2(base_lr=0, max_lr=0.1))
    optimizer.add_param_group({"params": [parameter()], "lr": 0.01})
    with pytest.warns(UserWarning, match="group 1, added while the policy's rate is 0, gets all of the policy's rate"):
        optimizer.step()


def test_lists_give_each_group_bounds_of_its_own_as_torchs_cyclic_lr_does():
    ours, theirs = sgd(1e-4, 1e-3), sgd(1e-4, 1e-3)
    driven(ours, CyclicLR("triangular", base_lr=[1e-4, 1e-3], max_lr=[1e-3, 1e-2], step_size=3, step_size_down=2))
    scheduler = lr_scheduler.CyclicLR(theirs, [1e-4, 1e-3], [1e-3, 1e-2], 3, 2, cycle_momentum=False)
    np.testing.assert_allclose(used_by(ours, 20), used_by(theirs, 20, scheduler.step), rtol=1e-9)


@pytest.mark.parametrize("rates", [{"base_lr": [0.1, 0.2]}, {"base_lr": [0.1, 0.2], "max_lr": [0.5, 0.6]}])
def test_lists_of_another_length_than_the_groups_are_refused(rates):
    with pytest.raises(ValueError, match="a list for 2 parameter groups, but SGD has 1: give one rate for each"):
        driven(sgd(), triangular2(**rates))
    with pytest.raises(ValueError, match="must be lists of one length"):
        triangular2(base_lr=[0.1, 0.2], max_lr=[0.5])


def attached_to_both(*optimizers):
    callback = triangular2()
    for optimizer in optimizers:
        callback.attach(optimizer)
    return callback


def test_optimizers_whose_own_rates_differ_are_told_that_they_get_the_same():
    optimizers = sgd(0.1), torch.optim.Adam([parameter()], lr=0.01)
    with pytest.warns(UserWarning, match=r"optimizers, whose own rates are 0.1 \(SGD\), 0.01 \(Adam\): to keep a ratio"):
        attached_to_both(*optimizers)
    assert [used_by(optimizer, 2) for optimizer in optimizers] == [[[rate] for rate in RATES(np.arange(2))]] * 2


@pytest.mark.parametrize(
    "other",
    [{"lr": 7.0}, {"lr": torch.tensor(7.0)}, {"lr": 0.1, "lr_mult": 0.5}, {"lr": 0.0}],
    ids=["equal", "tensor", "lr_mult", "none"],
)
def test_optimizers_whose_own_rates_agree_or_play_no_part_are_told_nothing(other, recwarn):
    attached_to_both(sgd(), torch.optim.SGD([{"params": [parameter()], **other}], lr=1.0))
    assert not recwarn.list


# ------------------------------------------------------------------------------------------------ before every step


def test_a_state_that_is_loaded_in_the_middle_makes_no_step_at_its_rate():
    optimizer = sgd()
    state = optimizer.state_dict()
    driven(optimizer)
    used_by(optimizer, 3)
    optimizer.load_state_dict(state)
    optimizer.param_groups[0]["params"][0].grad = torch.ones(1)
    optimizer.step()
    assert optimizer.param_groups[0]["params"][0].item() == pytest.approx(1 - RATES(3))


@pytest.mark.parametrize("kind", [float, torch.tensor])
@pytest.mark.parametrize(
    "make",
    [
        lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda t: 1.0),
        lambda optimizer: lr_scheduler.ExponentialLR(optimizer, 0.9),
        lambda optimizer: lr_scheduler.CyclicLR(optimizer, 0.01, 0.06, 3, cycle_momentum=False),
        lambda optimizer: torch.optim.swa_utils.SWALR(optimizer, 0.05),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_beside_it_is_refused_at_its_first_step_whenever_it_was_made(make, kind, is_first):
    optimizer = sgd(kind(7.0))
    scheduler = make(optimizer) if is_first else None
    driven(optimizer)
    with pytest.raises(ValueError, match=r"something else set the rate of parameter group 0 to .*: use one of them"):
        used_by(optimizer, 3, (scheduler or make(optimizer)).step)


def test_a_second_cyclic_lr_on_one_optimizer_is_refused():
    optimizer = sgd()
    driven(optimizer)
    with pytest.raises(ValueError, match=r"another CyclicLR drives this SGD: detach\(\) it first"):
        driven(optimizer)


def test_a_policy_for_each_of_two_optimizers():
    one, other = sgd(), sgd()
    driven(one)
    driven(other, CyclicLR("fixed", base_lr=0.3))
    assert (used_by(one, 3), used_by(other, 3)) == ([[rate] for rate in RATES(np.arange(3))], [[0.3]] * 3)


# --------------------------------------------------------------------------------------------- steps within a step


class ByParent(torch.optim.SGD):
    """Has its parent make `calls` steps. torch hooks the steps of both classes, once there has been an SGD."""

    calls = 1

    def step(self, closure=None):
        for _ in range(self.calls):
            super().step(closure)
        self.rate_after = self.param_groups[0]["lr"]


@pytest.mark.parametrize("calls", [1, 2])
def test_a_step_that_calls_its_parents_is_one_iteration_at_one_rate(calls):
    sgd()
    optimizer, rates = ByParent([parameter()], lr=7.0), []
    optimizer.calls = calls
    callback = driven(optimizer)
    for _ in range(6):
        optimizer.step()
        rates.append(optimizer.rate_after)
    assert rates == RATES(np.arange(6)).tolist()
    assert callback.state_dict()["iterations"] == [6]


@pytest.mark.parametrize("is_caught_within", [True, False])
def test_a_step_that_raises_leaves_the_count_of_later_ones_right(is_caught_within):
    def fail():
        raise RuntimeError("out of luck")

    class Careful(ByParent):
        def step(self, closure=None):
            with contextlib.suppress(RuntimeError if is_caught_within else ()):
                super().step(closure)

    ByParent([parameter()], lr=7.0)
    optimizer = Careful([parameter()], lr=7.0)
    callback = driven(optimizer)
    for closure in (None, fail, None, fail, None):
        with contextlib.suppress(RuntimeError):
            optimizer.step(closure)
    assert callback.state_dict()["iterations"] == [5 if is_caught_within else 3]


# ---------------------------------------------------------------------------------------------- states, letting go


def test_a_state_loaded_after_attach_counts_at_once():
    optimizer = sgd()
    callback = driven(optimizer)
    callback.load_state_dict({"iterations": [3]})
    assert callback.state_dict()["iterations"] == [3]
    assert used_by(optimizer, 4) == [[rate] for rate in RATES(np.arange(3, 7))]


def test_a_state_loaded_before_attach_waits_for_it():
    optimizer, callback = sgd(), triangular2()
    callback.load_state_dict({"iterations": [3]})
    assert used_by(optimizer, 2) == [[7.0]] * 2
    driven(optimizer, callback)
    assert used_by(optimizer, 2) == [[rate] for rate in RATES(np.arange(3, 5))]


@pytest.mark.filterwarnings("ignore:CyclicLR keeps")
def test_a_resumed_loop_keeps_the_ratio_even_where_the_rate_was_0():
    callback = driven(sgd(1e-4, 1e-3), triangular2(base_lr=0))
    optimizer, again = sgd(0.0, 0.0), triangular2(base_lr=0)
    again.load_state_dict(callback.state_dict())
    driven(optimizer, again)
    optimizer.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * optimizer.param_groups[1]["lr"])


@pytest.mark.parametrize("count", [-1, 1.5, True, "3"])
def test_a_count_that_is_no_whole_number_of_at_least_0_is_refused(count):
    with pytest.raises(ValueError, match=f"iteration={count} is impossible: it must be a whole number of at least 0"):
        triangular2().attach(sgd(), count)
    optimizer = sgd()
    callback = driven(optimizer)
    with pytest.raises(ValueError, match="is impossible"):
        callback.load_state_dict({"iterations": [count]})


def test_a_state_of_other_optimizers_is_refused():
    optimizer = sgd()
    callback = driven(optimizer)
    with pytest.raises(ValueError, match="counts the steps of 2 optimizers, but 1 are attached"):
        callback.load_state_dict({"iterations": [3, 4]})


def test_a_detached_optimizer_is_its_users_again_and_the_next_one_starts_anew():
    optimizer = sgd()
    callback = driven(optimizer)
    used_by(optimizer, 3)
    callback.detach()
    optimizer.param_groups[0]["lr"] = 3.0
    assert used_by(optimizer, 2) == [[3.0]] * 2
    assert callback.state_dict()["iterations"] == [3]
    driven(optimizer, callback)
    assert callback.state_dict()["iterations"] == [0]
    assert used_by(optimizer, 2) == [[rate] for rate in RATES(np.arange(2))]


@pytest.mark.parametrize("detaches", [True, False])
def test_the_callback_keeps_neither_optimizer_nor_weights_alive(detaches):
    optimizer = sgd()
    callback = driven(optimizer)
    optimizer.step()
    alive = [weakref.ref(optimizer), weakref.ref(optimizer.param_groups[0]["params"][0])]
    if detaches:
        callback.detach()
    del optimizer
    gc.collect()
    assert [reference() for reference in alive] == [None, None]


def test_a_detached_callback_can_be_pickled():
    callback = driven(sgd())
    callback.detach()
    assert pickle.loads(pickle.dumps(callback)).state_dict() == callback.state_dict()


# --------------------------------------------------------------------------------------- optimizers around another


class SAM(torch.optim.Optimizer):
    """Sharpness-aware minimization as its authors write it: the steps are the base optimizer's."""

    def __init__(self, params, base, **options):
        super().__init__(params, {"rho": 0.05, **options})
        self.base_optimizer = base(self.param_groups, **options)
        self.param_groups = self.base_optimizer.param_groups

    def second_step(self):
        self.base_optimizer.step()

    def step(self, closure=None):
        self.second_step()


class Lookahead(torch.optim.Optimizer):
    """Wraps another without a call of the base class, so that it has no hooks, as the well-known implementation does."""

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.param_groups = optimizer.param_groups
        self.defaults = {}

    def step(self, closure=None):
        return self.optimizer.step(closure)


@pytest.mark.parametrize("call", ["second_step", "step"])
def test_sam_counts_a_step_for_its_two_calls_as_for_its_one(call):
    optimizer = SAM([parameter()], torch.optim.SGD, lr=7.0)
    callback, rates = driven(optimizer), []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        getattr(optimizer, call)()
    assert rates == RATES(np.arange(6)).tolist()
    assert callback.state_dict()["iterations"] == [6]


def test_an_optimizer_without_hooks_is_driven_by_the_one_within():
    optimizer = Lookahead(Lookahead(sgd()))
    driven(optimizer)
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
    assert rates == RATES(np.arange(6)).tolist()


def test_an_optimizer_of_two_others_is_driven_itself_so_that_both_get_the_rates():
    class Pair(torch.optim.Optimizer):
        def __init__(self, one, other):
            super().__init__([*one.param_groups, *other.param_groups], {})
            self.one, self.other = one, other

        def step(self, closure=None):
            rates.append([inner.param_groups[0]["lr"] for inner in (self.one, self.other)])
            self.one.step()
            self.other.step()

    rates, optimizer = [], Pair(sgd(), sgd())
    callback = driven(optimizer)
    for _ in range(6):
        optimizer.step()
    assert rates == [[rate, rate] for rate in RATES(np.arange(6))]
    assert callback.state_dict()["iterations"] == [6]


def test_an_optimizer_without_hooks_or_another_within_is_refused():
    class Bare(torch.optim.Optimizer):
        def __init__(self):
            self.param_groups = [{"params": [parameter()], "lr": 1.0}]

    with pytest.raises(ValueError, match=r"the steps of Bare cannot be seen, as its __init__ does not call"):
        driven(Bare())


def test_what_has_no_rate_is_refused_with_the_way_out():
    class Around(torch.optim.Optimizer):
        def __init__(self):
            super().__init__([parameter()], {})

    for optimizer in (Around(), nn.Linear(1, 1)):
        with pytest.raises(ValueError, match=r"has no parameter groups that have a rate \(lr\); if it wraps"):
            driven(optimizer)


def test_a_step_that_a_scaler_skips_is_no_iteration():
    optimizer = sgd()
    callback, scaler = driven(optimizer), torch.amp.GradScaler("cpu")
    weight = optimizer.param_groups[0]["params"][0]
    for factor in (1.0, math.inf, 1.0):
        optimizer.zero_grad()
        scaler.scale((factor * weight).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
    assert callback.state_dict()["iterations"] == [2]


@pytest.mark.slow
def test_a_compiled_step_is_not_compiled_anew_as_the_count_moves():
    torch._dynamo.reset()
    weight, compiled = parameter(), []
    optimizer = torch.optim.Adam([weight], lr=torch.tensor(7.0), foreach=False)
    driven(optimizer)

    def backend(graph, example):
        compiled.append(graph)
        return graph.forward

    step = torch.compile(optimizer.step, backend=backend)
    rates = []
    for _ in range(10):
        weight.grad = torch.ones(1)
        rates.append(float(optimizer.param_groups[0]["lr"]))
        step()
    assert len(compiled) <= 2
    assert rates == pytest.approx(RATES(np.arange(10)).tolist())


# ------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (lambda iteration: 0.1, r"<lambda> returned 1 rates for 1024 iterations.*np.vectorize"),
        (math.cos, r"cos does not take an array of iterations .*np.vectorize\(cos\)"),
    ],
)
def test_a_function_of_a_single_iteration_is_refused_with_the_way_out(policy, words):
    with pytest.raises(ValueError, match=words):
        driven(sgd(), CyclicLR(policy))
    optimizer = sgd()
    driven(optimizer, CyclicLR(np.vectorize(policy)))
    assert used_by(optimizer, 2) == [[float(policy(0))], [float(policy(1))]]


@pytest.mark.parametrize("vectorize", [lambda policy: policy, np.vectorize])
@pytest.mark.parametrize("length", [3, 1500])  # rates are looked up for many iterations at once
def test_a_table_is_a_policy_until_it_ends(vectorize, length):
    table, optimizer = np.linspace(0.1, 0.2, length), sgd()
    driven(optimizer, CyclicLR(vectorize(lambda iteration: table[iteration])))
    assert used_by(optimizer, length) == [[rate] for rate in table]
    with pytest.raises(ValueError, match=rf"has no rate at iteration {length} \(index {length} .*\): make its table"):
        optimizer.step()


@pytest.mark.parametrize(("value", "told"), [(math.nan, "nan"), (-1.0, "-1"), (math.inf, "inf")])
def test_a_rate_that_is_none_is_refused_at_its_step_and_not_before(value, told):
    optimizer = sgd()
    driven(optimizer, CyclicLR(lambda iteration: np.where(iteration < 3, 0.1, value)))
    assert used_by(optimizer, 3) == [[0.1]] * 3
    with pytest.raises(ValueError, match=f"gives {told} at iteration 3: a rate must be a number of at least 0"):
        optimizer.step()


def test_one_cycle_refuses_a_step_past_its_end():
    optimizer = sgd()
    driven(optimizer, CyclicLR("one_cycle", base_lr=0.1, max_lr=0.5, iterations=20))
    used_by(optimizer, 20)
    with pytest.raises(ValueError, match="one_cycle has no rate at iteration 20: it ends after 20; raise its `iterations`"):
        optimizer.step()


@pytest.mark.parametrize(
    ("policy", "shown"),
    [(None, "None"), (3, "3"), (np.linspace(0, 1, 300), r"array\(.*\.\.\..*\)"), ([0.1] * 300, r"\[0.1, .*\.\.\.\]")],
)
def test_what_is_neither_name_nor_function_is_no_policy(policy, shown):
    with pytest.raises(ValueError, match=f"^policy={shown} is impossible: it must be a policy's name or a function") as refused:
        CyclicLR(policy)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("place", ["0", 1.0, True, -1, [0]])
def test_a_place_of_an_optimizer_that_cannot_be_one_is_refused_at_once(place):
    with pytest.raises(ValueError, match=rf"optimizer={re.escape(repr(place))} is impossible: it must be a place"):
        triangular2(optimizer=place)


@pytest.mark.parametrize("rates", [{"max_lr": "2 epochs"}, {"base_lr": ["1 epoch", 0.1]}])
def test_a_rate_is_never_a_length(rates):
    with pytest.raises(ValueError, match=r"epochs? is impossible: it must be a number of at least 0"):
        triangular2(**rates)


def test_a_number_that_is_text_is_refused_in_words():
    with pytest.raises(ValueError, match=r"base_lr='1e-3', a text and not a number"):
        triangular2(base_lr="1e-3")


def test_numbers_of_numpy_and_torch_are_numbers():
    optimizer = sgd()
    driven(optimizer, triangular2(base_lr=np.float64(0.1), max_lr=np.array(0.5), step_size=torch.tensor(4)))
    assert used_by(optimizer, 6) == [[rate] for rate in RATES(np.arange(6))]


def test_epochs_without_a_trainer_are_refused():
    callback = triangular2(step_size="2 epochs")
    with pytest.raises(ValueError, match=r"step_size='2 epochs': nothing here says how many steps an epoch has"):
        driven(sgd(), callback)


def test_it_shows_its_settings():
    shown = "CyclicLR('triangular2', base_lr=0.1, max_lr=0.5, step_size='2 epochs')"
    assert repr(eval(shown)) == shown
    assert repr(CyclicLR("fixed", base_lr=1, optimizer=1)) == "CyclicLR('fixed', optimizer=1, base_lr=1)"
