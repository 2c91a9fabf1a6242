"""Smaller rates for earlier layers: what is general needs little change."""

from collections import Counter

from torch import nn

from dojo import right, wrong


def param_groups(model: nn.Module, head: str, base_lr: float, decay: float) -> list[dict]:
    """Give each part of the model its own learning rate, smaller the farther from the head.

    Early layers see edges that serve any task, late ones what this task needs. So the parts,
    the top-level children, get base_lr * decay^d, where d is the distance from the head: 0 for
    the head itself, 1 for its neighbour, and so on in either direction. Only children that own
    parameters are counted, frozen ones too; a ReLU in between changes nothing.

    There is one group for each child that has something to train. Every trainable parameter
    stands in exactly one group, frozen ones in none. One that two children share goes to the
    nearer. Parameters that belong to no child, the model's own, form one more group, at the
    farthest child's rate. The model is not changed.

    Shapes:
        head: the name of a top-level child
        returns: dicts with "params", a list of parameters, and "lr", as torch's optimizers
            take them, in any order

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> [(len(g["params"]), g["lr"]) for g in param_groups(net, "2", 0.5, 0.1)]
        [(2, 0.05), (2, 0.5)]

    Raises:
        ValueError: the model has no child of this name.

    Source: Howard & Ruder, Universal Language Model Fine-tuning for Text Classification,
        arXiv:1801.06146, section 3.2 (discriminative fine-tuning).
    """
    children = dict(model.named_children())
    if head not in children:
        raise ValueError(f"the model has no child {head!r}; it has {', '.join(children)}")
    owners = [name for name, child in children.items() if name == head or _owns(child)]
    distance = {name: abs(place - owners.index(head)) for place, name in enumerate(owners)}
    groups, taken = {}, set()
    for name in sorted(owners, key=distance.__getitem__):
        free = [p for p in children[name].parameters() if p.requires_grad and p not in taken]
        taken.update(free)
        groups[name] = {"params": free, "lr": base_lr * decay ** distance[name]}
    ordered = [groups[name] for name in owners]
    own = [p for p in model.parameters() if p.requires_grad and p not in taken]
    ordered.append({"params": own, "lr": base_lr * decay ** max(distance.values())})
    return [group for group in ordered if group["params"]]


def _owns(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


HINTS = [
    "A resnet18 has ten top-level children. Which of them own parameters, and how far is layer4 "
    "from fc when you count only those?",
    "List the names of the children with parameters; a child's distance is the difference of the "
    "places in this list. Go through them from near to far and keep a set of what was taken, so "
    "that a shared parameter goes to the nearer child.",
    "owners = children that own parameters; d = abs(owners.index(name) - owners.index(head)); "
    "group = {'params': [trainable and not taken yet], 'lr': base_lr * decay ** d}. What "
    "model.parameters() has and no child took is the last group, at max(d). Drop empty groups.",
]


def _groups(model, head, base_lr, decay, *, owners_of=None, distance_of=None, pick=None,
            order=None, own=True, own_lr=None):  # fmt: skip
    """The answer with one part exchanged."""
    children = dict(model.named_children())
    if head not in children:
        raise ValueError(head)
    owners = [n for n, c in children.items() if n == head or _owns(c)]
    owners = owners_of(children) if owners_of else owners
    measure = distance_of or (lambda place, at, count: abs(place - at))
    distance = {
        name: measure(place, owners.index(head), len(owners)) for place, name in enumerate(owners)
    }
    pick = pick or (lambda p, taken: p.requires_grad and p not in taken)
    groups, taken = [], set()
    for name in sorted(owners, key=order or distance.__getitem__):
        chosen = [p for p in children[name].parameters() if pick(p, taken)]
        taken.update(chosen)
        groups.append({"params": chosen, "lr": base_lr * decay ** distance[name]})
    left = [p for p in model.parameters() if p.requires_grad and p not in taken]
    far = base_lr * decay ** max(distance.values())
    if own:
        groups.append({"params": left, "lr": far if own_lr is None else own_lr})
    return [group for group in groups if group["params"]]


@right(param_groups)
def by_parameter(model, head, base_lr, decay):
    """Each parameter looks for its nearest child; groups are collected by distance and child."""
    if head not in dict(model.named_children()):
        raise ValueError(head)
    owners = [n for n, c in model.named_children() if n == head or list(c.parameters())]
    at, groups = owners.index(head), {}
    homes = {n: {id(p) for p in c.parameters()} for n, c in model.named_children()}
    far = max(at, len(owners) - 1 - at)
    for parameter in model.parameters():
        if parameter.requires_grad:
            near = [(abs(i - at), n) for i, n in enumerate(owners) if id(parameter) in homes[n]]
            d, name = min(near, default=(far, None))
            group = groups.setdefault(name, {"params": [], "lr": base_lr * decay**d})
            group["params"].append(parameter)
    return list(groups.values())


@right(param_groups)
def by_walking_outwards(model, head, base_lr, decay):
    """From the head to both sides, the rate falling step by step; names are kept too."""
    children = [(n, c) for n, c in model.named_children() if n == head or _owns(c)]
    names = [name for name, _ in children]
    if head not in dict(model.named_children()):
        raise ValueError(f"no child {head}")
    at, lr, seen, groups = names.index(head), float(base_lr), set(), []
    for step in range(len(names)):
        for place in sorted({at - step, at + step}):
            if 0 <= place < len(names):
                params = []
                for parameter in children[place][1].parameters():
                    if parameter.requires_grad and id(parameter) not in seen:
                        seen.add(id(parameter))
                        params.append(parameter)
                if params:
                    groups.append({"params": params, "lr": lr, "name": names[place]})
        if at - step - 1 >= 0 or at + step + 1 < len(names):
            lr *= decay
    own = [p for p in model.parameters() if p.requires_grad and id(p) not in seen]
    return groups + ([{"params": own, "lr": lr, "name": "own"}] if own else [])


@right(param_groups)
def with_tuples(model, head, base_lr, decay):
    found = param_groups(model, head, base_lr, decay)
    return [{"lr": group["lr"], "params": tuple(group["params"])} for group in reversed(found)]


@wrong(param_groups)
def head_missing(model, head, base_lr, decay):
    """the head itself is in no group: it never learns"""
    mine = set(dict(model.named_children()).get(head, nn.Identity()).parameters())
    return [
        group for group in param_groups(model, head, base_lr, decay)
        if not mine.intersection(group["params"])
    ]  # fmt: skip


@wrong(param_groups)
def exhausted(model, head, base_lr, decay):
    """params is a generator, not a list: whoever looks at it first uses it up"""
    found = param_groups(model, head, base_lr, decay)
    for group in found:
        group["params"] = iter(group["params"])
    return found


@wrong(param_groups)
def twice(model, head, base_lr, decay):
    """a shared parameter stands in the groups of both its children"""
    return _groups(model, head, base_lr, decay, pick=lambda p, taken: p.requires_grad)


@wrong(param_groups)
def twice_in_its_group(model, head, base_lr, decay):
    """a parameter that two layers of a child share stands twice in the child's group"""
    every = Counter(
        id(p)
        for child in model.children()
        for _, p in child.named_parameters(remove_duplicate=False)
        if not any(p is q for other in model.children() if other is not child
                   for q in other.parameters())
    )  # fmt: skip
    found = _groups(model, head, base_lr, decay)
    for group in found:
        group["params"] = [p for p in group["params"] for _ in range(max(every[id(p)], 1))]
    return found


@wrong(param_groups)
def shared_with_the_first(model, head, base_lr, decay):
    """a shared parameter goes to the first child, not to the nearer"""
    return _groups(model, head, base_lr, decay, order=lambda name: 0)


@wrong(param_groups)
def shared_with_the_farther(model, head, base_lr, decay):
    """a shared parameter goes to the farther child, not to the nearer"""
    names = [n for n, c in model.named_children() if n == head or _owns(c)]
    return _groups(
        model, head, base_lr, decay, order=lambda n: -abs(names.index(n) - names.index(head))
    )


@wrong(param_groups)
def frozen_too(model, head, base_lr, decay):
    """frozen parameters stand in the groups too"""
    return _groups(model, head, base_lr, decay, pick=lambda p, taken: p not in taken)


@wrong(param_groups)
def reversed_rates(model, head, base_lr, decay):
    """the farthest child has the largest rate: it is counted from the other end"""
    return _groups(
        model, head, base_lr, decay,
        distance_of=lambda place, at, count: max(at, count - 1 - at) - abs(place - at),
    )  # fmt: skip


@wrong(param_groups)
def all_children_counted(model, head, base_lr, decay):
    """children without parameters are counted too: the distances are too large"""
    return _groups(model, head, base_lr, decay, owners_of=list)


@wrong(param_groups)
def frozen_not_counted(model, head, base_lr, decay):
    """wholly frozen children are not counted: the distances behind them are too small"""

    def owners(children):
        return [
            n for n, c in children.items()
            if n == head or any(p.requires_grad for p in c.parameters())
        ]  # fmt: skip

    return _groups(model, head, base_lr, decay, owners_of=owners)


@wrong(param_groups)
def head_is_last(model, head, base_lr, decay):
    """the head is taken to be the last child: the distance is counted from the end"""
    return _groups(
        model, head, base_lr, decay, distance_of=lambda place, at, count: count - 1 - place
    )


@wrong(param_groups)
def one_direction(model, head, base_lr, decay):
    """children behind the head get rates above its own"""
    return _groups(model, head, base_lr, decay, distance_of=lambda place, at, count: at - place)


@wrong(param_groups)
def behind_at_the_base_rate(model, head, base_lr, decay):
    """children behind the head all get its own rate: they have distances too"""
    return _groups(
        model, head, base_lr, decay, distance_of=lambda place, at, count: max(at - place, 0)
    )


@wrong(param_groups)
def linear_decay(model, head, base_lr, decay):
    """the rate falls in equal steps (base_lr * decay * d), not by a factor"""
    found = _groups(model, head, 1.0, 2.0)
    for group in found:
        d = round(group["lr"]).bit_length() - 1
        group["lr"] = base_lr * (decay * d if d else 1)
    return found


@wrong(param_groups)
def one_step_too_far(model, head, base_lr, decay):
    """the head's own rate is already decayed"""
    return _groups(model, head, base_lr * decay, decay)


@wrong(param_groups)
def one_rate(model, head, base_lr, decay):
    """everything has the same rate"""
    return _groups(model, head, base_lr, 1.0)


@wrong(param_groups)
def head_and_rest(model, head, base_lr, decay):
    """there are two rates only: the head's and one for all the rest"""
    return _groups(
        model, head, base_lr, decay, distance_of=lambda place, at, count: int(place != at)
    )


@wrong(param_groups)
def divided(model, head, base_lr, decay):
    """the rate is divided by decay at each step: it grows away from the head"""
    return _groups(model, head, base_lr, 1 / decay)


@wrong(param_groups)
def own_left_out(model, head, base_lr, decay):
    """parameters that belong to no child are in no group"""
    return _groups(model, head, base_lr, decay, own=False)


@wrong(param_groups)
def own_at_the_base_rate(model, head, base_lr, decay):
    """parameters that belong to no child get the head's rate, not the farthest"""
    return _groups(model, head, base_lr, decay, own_lr=base_lr)


@wrong(param_groups)
def own_at_the_first_childs_rate(model, head, base_lr, decay):
    """parameters that belong to no child get the first child's rate: it need not be the farthest"""
    owners = [n for n, c in model.named_children() if n == head or _owns(c)]
    lr = base_lr * decay ** owners.index(head) if head in owners else None
    return _groups(model, head, base_lr, decay, own_lr=lr)


@wrong(param_groups)
def own_at_the_least_rate_in_use(model, head, base_lr, decay):
    """parameters that belong to no child get the least rate in use: the farthest may be frozen"""
    rates = [group["lr"] for group in _groups(model, head, base_lr, decay, own=False)]
    return _groups(model, head, base_lr, decay, own_lr=min(rates, default=base_lr))


@wrong(param_groups)
def own_first(model, head, base_lr, decay):
    """what stands in the model itself is never a child's, though it may stand in one too"""
    own = [p for p in model.parameters(recurse=False) if p.requires_grad]
    found = _groups(
        model, head, base_lr, decay, own=False,
        pick=lambda p, taken: p.requires_grad and p not in taken and p not in {*own},
    )  # fmt: skip
    owners = [n for n, c in model.named_children() if n == head or _owns(c)]
    far = max(owners.index(head), len(owners) - 1 - owners.index(head))
    return found + [{"params": own, "lr": base_lr * decay**far}] * bool(own)


@wrong(param_groups)
def own_each_alone(model, head, base_lr, decay):
    """parameters that belong to no child have a group each, not one for all"""
    inside = {p for child in model.children() for p in child.parameters()}
    found = _groups(model, head, base_lr, decay)
    return [
        {"params": params, "lr": group["lr"]}
        for group in found
        for params in ([[p] for p in group["params"]] if inside.isdisjoint(group["params"])
                       else [group["params"]])
    ]  # fmt: skip


@wrong(param_groups)
def empty_groups(model, head, base_lr, decay):
    """there are groups without any parameter"""
    found = param_groups(model, head, base_lr, decay)
    return [*found, {"params": [], "lr": base_lr}]


@wrong(param_groups)
def a_group_for_each_parameter(model, head, base_lr, decay):
    """every parameter has a group of its own, not every child"""
    found = param_groups(model, head, base_lr, decay)
    return [{"params": [p], "lr": group["lr"]} for group in found for p in group["params"]]


@wrong(param_groups)
def a_group_for_each_distance(model, head, base_lr, decay):
    """children on both sides of the head at the same distance share a group"""
    merged = {}
    for group in param_groups(model, head, base_lr, decay):
        merged.setdefault(group["lr"], {"params": [], "lr": group["lr"]})
        merged[group["lr"]]["params"] += group["params"]
    return list(merged.values())


@wrong(param_groups)
def unfrozen(model, head, base_lr, decay):
    """frozen parameters are woken"""
    model.requires_grad_(True)
    return _groups(model, head, base_lr, decay)


@wrong(param_groups)
def weights_and_biases(model, head, base_lr, decay):
    """only parameters called weight or bias are taken: others are in no group"""
    named = {p for name, p in model.named_parameters()
             if "." not in name or name.split(".")[-1] in ("weight", "bias")}  # fmt: skip
    found = _groups(model, head, base_lr, decay)
    for group in found:
        group["params"] = [p for p in group["params"] if p in named]
    return found


@wrong(param_groups)
def gradients_cleared(model, head, base_lr, decay):
    """the gradients that the model had are cleared"""
    model.zero_grad()
    return _groups(model, head, base_lr, decay)


@wrong(param_groups)
def any_head(model, head, base_lr, decay):
    """an unknown head is not refused: the last child is taken"""
    names = [n for n, _ in model.named_children()]
    return _groups(model, head if head in names else names[-1], base_lr, decay)


@wrong(param_groups)
def part_of_a_child(model, head, base_lr, decay):
    """the dotted name of a part of a child is not refused: the whole child is taken"""
    inside = "." in head and head in dict(model.named_modules())
    return _groups(model, head.split(".")[0] if inside else head, base_lr, decay)


@wrong(param_groups)
def key_error(model, head, base_lr, decay):
    """an unknown head ends in Python's own error, not in a ValueError"""
    _ = dict(model.named_children())[head]
    return _groups(model, head, base_lr, decay)
