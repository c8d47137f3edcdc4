"""What a reader calls the experiments, in the order of the paper's tables and sections."""

# Experiment: (title, the question that its runs answer).
TITLES = {
    "table1": ("Table 1: policies on CIFAR-10", "Do cycles reach the accuracy of the fixed rate in far fewer iterations?"),
    "table1_fifth": ("Table 1 at a fifth of its length", "Does Table 1 come out the same in a fifth of the time?"),
    "controls": ("Controls: what makes the gain", "Is it the height of the rate, its drops, or its cycles?"),
    "budgets": ("Budgets: one run instead of many", "Can one run tell how good a policy is at every budget?"),
    "averaging": ("Averages of a run", "Do means of weights, or ensembles of snapshots, beat the last weights?"),
    "rivals": ("Rivals: policies of today", "Which policy ends best, if each has the best peak that it was tried at?"),
    "rivals_screening": ("Rivals: choosing the peaks", "At which peak is each policy best, on images held out of training?"),
    "sigmoid_bn": ("Figure 6: a net with sigmoids", "Do cycles help a net that is hard to train?"),
    "table3": ("Table 3: adaptive methods", "Do cycles help with Nesterov, Adam, RMSprop, AdaGrad and AdaDelta?"),
    "table4_cifar10": ("Table 4: deeper nets on CIFAR-10", "Do cycles beat the best of three fixed rates?"),
    "table4_cifar100": ("Table 4: deeper nets on CIFAR-100", "Do cycles beat the best of three fixed rates?"),
    "imagenet_alexnet": ("Table 1: AlexNet on ImageNet", "Do cycles help on ImageNet?"),
    "imagenet_googlenet": ("Table 1: GoogLeNet on ImageNet", "Do cycles help on ImageNet?"),
    "windows": ("Section 3.1: the shape of a cycle", "Does it matter whether a cycle is a triangle, a parabola or a cosine?"),
    "step_size": ("Section 3.2: the length of a cycle", "Does it matter how many epochs a cycle takes?"),
    "bounds": ("Section 3.3: how high the rate goes", "How much does the upper bound matter?"),
    "base_lr": ("Section 3.3: how low the rate goes", "How much does the lower bound matter?"),
    "found_bounds": (
        "Section 3.3: bounds from the range test",
        "Do the measured bounds beat half or twice as high ones?",
    ),
    "compare": ("Compare: cycles beside tuned fixed rates", "Do cycles pay on this data and model, at an equal budget?"),
    "decide": ("Decisions: which policy, at which rates", "Which policy is best for this data, model and budget?"),
    "league": ("The league: policies across tasks", "Which policy wins on which task?"),
    "quick": ("Quick: six policies on embedded digits", "Do cycles beat three fixed rates on a hundred digits?"),
    "adhoc": ("Runs without an experiment", "What did single runs give?"),
    "range_test": ("Section 3.3: range tests", "Which bounds does a range test show?"),
}


def title_of(experiment: str) -> str:
    """The title; of an experiment from outside, its name."""
    return TITLES[experiment][0] if experiment in TITLES else experiment


def question_of(experiment: str) -> str:
    """The question; empty for an experiment from outside."""
    return TITLES[experiment][1] if experiment in TITLES else ""


def position(experiment: str) -> int:
    """Where it stands on the page: experiments from outside come before the range tests, which serve the others."""
    names = list(TITLES)
    return names.index(experiment) if experiment in names else len(names) - 2
