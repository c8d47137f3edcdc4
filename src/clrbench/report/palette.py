"""One colour a policy, the same in every picture and on every page, in light and in dark."""

from collections.abc import Callable, Sequence

from clrbench.analysis.arms import Arm

OTHER = "other"
# By the policy's name: on a light ground, on a dark one. Those of Table 1 differ for colour-blind readers too (Okabe and Ito).
COLOURS = {
    "fixed": ("#0072b2", "#4aa8e0"),
    "step": ("#0072b2", "#4aa8e0"),
    "triangular2": ("#d55e00", "#ff8a3d"),
    "triangular2_staged": ("#d55e00", "#ff8a3d"),
    "exp_range": ("#a87400", "#f0b93a"),
    "exp": ("#b0508a", "#e39cc6"),
    "decay": ("#00795a", "#35c79a"),
    "triangular": ("#8c4a2f", "#d69a7c"),
    "parabolic": ("#6b7d00", "#bccc4a"),
    "hann": ("#00838f", "#4fd0dc"),
    "one_cycle": ("#6a4bc4", "#b09cf5"),
    "cosine": ("#b3261e", "#ff8f87"),
    "cosine_restarts": ("#7a3b6e", "#d79acb"),
    "linear": ("#4b7f2a", "#93d06a"),
    "wsd": ("#b8147a", "#ff7cc4"),
    "multiplicative": ("#2b3a8f", "#8c9cf0"),
    OTHER: ("#555b63", "#a9b0b8"),
}


def colour_of(arm: Arm) -> str:
    """The name in COLOURS of an arm's policy; `other` for one from outside and for those without a colour of their own."""
    policy = arm.runs[0].result.policy
    return policy if policy in COLOURS else OTHER


def dashes(arms: Sequence[Arm]) -> dict[str, int]:
    """For each label the number of its dash: one a setting, the same for every policy, and others for policies of one colour.

    The first setting, plain float32 if it is there, has whole lines.
    """
    settings = {arm.label: arm.label.removeprefix(arm.name) for arm in arms}
    in_order = list(dict.fromkeys(settings[arm.label] for arm in sorted(arms, key=lambda arm: bool(arm.arithmetic))))
    names: dict[tuple[str, str], list[str]] = {}
    for arm in arms:
        alike = names.setdefault(COLOURS[colour_of(arm)], [])
        if arm.name not in alike:
            alike.append(arm.name)
    return {
        arm.label: names[COLOURS[colour_of(arm)]].index(arm.name) * len(in_order) + in_order.index(settings[arm.label])
        for arm in arms
    }


def style(rule: Callable[[str, str], str]) -> str:
    """CSS for both grounds; `rule` makes a declaration from a policy's name and its colour."""
    light, dark = ("".join(rule(name, pair[at]) for name, pair in COLOURS.items()) for at in (0, 1))
    return f"{light}@media (prefers-color-scheme: dark) {{{dark}}}"
