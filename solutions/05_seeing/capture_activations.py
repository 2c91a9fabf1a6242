"""Hooks: read what goes on inside a network, without changing a line of it."""

import torch
from torch import Tensor, nn

from dojo import right, wrong


def capture_activations(model: nn.Module, x: Tensor, names: list[str]) -> dict[str, Tensor]:
    """Run the model on `x` once and return what the named submodules gave on the way.

    A hook is a function that a module calls as soon as it has computed its output; so a
    network can be read from inside. What comes back is the output at that moment: some
    later layers, an in-place ReLU for one, write into the tensor they are handed. Each
    activation is therefore a tensor of its own, outside of any graph.

    Names are dotted, "layer1.conv2" for a submodule of a submodule. One module may stand in
    the model under two names: either is good, and so are both. One that runs several times
    gives its last output. The model runs in eval. It comes back as it was, also after an
    exception: each submodule's mode and hooks (the caller's own run as always), all numbers.

    Shapes:
        x: what the model takes; the named submodules give tensors of any shape
        returns: one entry for each of `names` and no other, of the outputs' dtype, detached

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(inplace=True))
        >>> _ = model[0].weight.data.copy_(torch.tensor([[3.0], [-2.0]]))
        >>> capture_activations(model, torch.ones(1, 1), ["0"])
        {'0': tensor([[ 3., -2.]])}

    Raises:
        ValueError: the model has no submodule of that name, or it did not run.
        whatever the model raises.

    Source: PyTorch documentation, torch.nn.Module, register_forward_hook.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    for name in names:
        if name not in modules:
            raise ValueError(f"the model has no submodule {name!r}")
    seen: dict[str, Tensor] = {}
    modes = [(module, module.training) for module in model.modules()]
    hooks = [modules[name].register_forward_hook(_keep(seen, name)) for name in names]
    model.eval()
    try:
        with torch.no_grad():
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes:
            module.training = mode
    for name in names:
        if name not in seen:
            raise ValueError(f"the submodule {name!r} did not run")
    return seen


def _keep(seen: dict[str, Tensor], name: str):
    """A hook that copies the output: what follows may write into it."""

    def hook(_module, _inputs, output):
        seen[name] = output.detach().clone()

    return hook


HINTS = [
    "When does a hook run: before or after the next layer? And if the next layer writes into "
    "the very tensor that your hook has put aside, what do you find there in the end?",
    "module.register_forward_hook(hook) calls hook(module, inputs, output) and returns a handle "
    "with remove(). named_modules() lists a shared module under its first name only, unless "
    "told otherwise. A function made in a loop sees the loop's variable as it is at the end. "
    "Put hooks and modes back in a finally.",
    "modules = dict(model.named_modules(remove_duplicate=False)); refuse unknown names first. "
    "One hook a name, made by a function of the name, does seen[name] = "
    "output.detach().clone(). Then model.eval() and, under no_grad, model(x). Refuse names that "
    "are not in seen.",
]


def _capture(model, x, names, *, find=None, keep=_keep, evaluate=True, restore=True, remove=True,
             finish=None, missing=None):  # fmt: skip
    """The answer with one part exchanged; hooks and modes are put back unless told otherwise."""
    find = find or (lambda model: dict(model.named_modules(remove_duplicate=False)))
    modules, seen = find(model), {}
    if any(name not in modules for name in names):
        raise ValueError("no such submodule")
    modes = [(module, module.training) for module in model.modules()]
    hooks = [modules[name].register_forward_hook(keep(seen, name)) for name in names]
    try:
        if evaluate:
            model.eval()
        model(x)
    finally:
        for hook in hooks if remove else []:
            hook.remove()
        for module, mode in modes if restore else []:
            module.training = mode
    if missing:
        return missing(seen, names)
    if any(name not in seen for name in names):
        raise ValueError("it did not run")
    return finish(seen) if finish else seen


def _storing(store):
    """Makes a _keep out of store(seen, name, module, inputs, output)."""
    return lambda seen, name: lambda m, i, o: store(seen, name, m, i, o)


@right(capture_activations)
def on_a_copy(model, x, names):
    """A deep copy is hooked: the model itself is never touched, not even for a moment."""
    import copy

    twin, seen = copy.deepcopy(model).eval(), {}
    for name in names:
        try:
            module = twin.get_submodule(name)
        except AttributeError as error:
            raise ValueError(str(error)) from None
        module.register_forward_hook(_keep(seen, name))
    twin(x.detach())
    if seen.keys() != set(names):
        raise ValueError(f"did not run: {set(names) - seen.keys()}")
    return seen


@right(capture_activations)
def by_one_hook_for_all(model, x, names):
    """One hook on every module, which looks up the names of the module that calls it."""
    owners = {}
    for name, module in model.named_modules(remove_duplicate=False):
        owners.setdefault(module, set()).add(name)
    if not set(names) <= set().union(*owners.values()):
        raise ValueError(f"unknown: {names}")
    seen, modes = {}, {module: module.training for module in owners}

    def look(module, _inputs, output):
        for name in owners[module].intersection(names):
            seen[name] = torch.empty_like(output).copy_(output).detach()

    hooks = []
    try:
        for module in owners:
            module.training = False
            hooks.append(module.register_forward_hook(look))
        model(x)
    finally:
        for module, mode in modes.items():
            module.training = mode
        for hook in hooks:
            hook.remove()
    if len(seen) < len(set(names)):
        raise ValueError("not all of them ran")
    return {name: seen[name] for name in names}


@right(capture_activations)
def by_wrapping_forward(model, x, names):
    """No hooks: each module's forward is wrapped for the time of the pass."""
    from contextlib import ExitStack

    seen = {}

    def wrap(module, name):
        inner = module.forward

        def forward(*args):
            output = inner(*args)
            seen[name] = output.detach().clone()
            return output

        own = vars(module).get("forward")
        module.forward = forward
        return lambda: setattr(module, "forward", own) if own else delattr(module, "forward")

    with ExitStack() as stack, torch.no_grad():
        for module in model.modules():
            stack.callback(setattr, module, "training", module.training)
        for name in dict.fromkeys(names):
            module, parts = model, name.split(".")
            for part in parts:
                module = module._modules.get(part)
                if module is None:
                    raise ValueError(f"no {name}")
            stack.callback(wrap(module, name))
        model.train(False)
        model(x)
    if any(name not in seen for name in names):
        raise ValueError("not run")
    return seen


def _set_default(seen, name, output):
    seen.setdefault(name, output.detach().clone())


@wrong(capture_activations)
def aliased(model, x, names):
    """the output is not copied in the hook: a layer that works in place writes into it"""
    return _capture(model, x, names, keep=_storing(lambda s, n, m, i, o: s.update({n: o.detach()})))


@wrong(capture_activations)
def without_in_place(model, x, names):
    """the in-place layers are switched off instead of copying: other in-place code still writes"""
    in_place = [module for module in model.modules() if getattr(module, "inplace", False)]
    try:
        for module in in_place:
            module.inplace = False
        return aliased(model, x, names)
    finally:
        for module in in_place:
            module.inplace = True


@wrong(capture_activations)
def graph_kept(model, x, names):
    """the activations still hang on the graph: they are not detached"""
    return _capture(model, x, names, keep=_storing(lambda s, n, m, i, o: s.update({n: o.clone()})))


@wrong(capture_activations)
def inputs(model, x, names):
    """the input of the submodule is kept, not its output"""
    return _capture(
        model, x, names, keep=_storing(lambda s, n, m, i, o: s.update({n: i[0].detach().clone()}))
    )


@wrong(capture_activations)
def first_run(model, x, names):
    """of a module that runs twice the first output is kept, not the last"""
    return _capture(
        model, x, names,
        keep=_storing(lambda s, n, m, i, o: _set_default(s, n, o)),
    )  # fmt: skip


@wrong(capture_activations)
def all_runs(model, x, names):
    """the outputs of a module that runs twice are joined into one tensor"""

    def store(seen, name, _module, _inputs, output):
        before = [seen[name]] if name in seen else []
        same = before and before[0].shape[1:] == output.shape[1:]
        seen[name] = torch.cat([*(before if same else []), output.detach().clone()])

    return _capture(model, x, names, keep=_storing(store))


@wrong(capture_activations)
def first_image(model, x, names):
    """only the activations of the first image are kept"""
    return _capture(model, x, names, finish=lambda seen: {n: o[:1] for n, o in seen.items()})


@wrong(capture_activations)
def batch_axis_lost(model, x, names):
    """the batch axis is squeezed away where there is one image"""
    return _capture(model, x, names, finish=lambda seen: {n: o.squeeze(0) for n, o in seen.items()})


@wrong(capture_activations)
def last_name_only(model, x, names):
    """the hooks made in the loop all see its last name: the others get nothing"""
    return _capture(model, x, names, keep=lambda seen, name: _keep(seen, names[-1]))


@wrong(capture_activations)
def children_only(model, x, names):
    """only the model's direct children are looked through: nested names are not found"""
    return _capture(model, x, names, find=lambda model: dict(model.named_children()))


@wrong(capture_activations)
def first_name_only(model, x, names):
    """a shared module is found under its first name only (named_modules drops duplicates)"""
    return _capture(model, x, names, find=lambda model: dict(model.named_modules()))


@wrong(capture_activations)
def by_module(model, x, names):
    """the names are kept by module: of two names of a shared module one gets nothing"""
    name_of = {}
    for name in names:
        modules = dict(model.named_modules(remove_duplicate=False))
        if name in modules:
            name_of[modules[name]] = name

    def store(seen, name, module, _inputs, output):
        seen[name_of[module]] = output.detach().clone()

    return _capture(model, x, names, keep=_storing(store))


@wrong(capture_activations)
def everything(model, x, names):
    """the outputs of all submodules are returned, not those of the named ones alone"""
    modules = dict(model.named_modules(remove_duplicate=False))
    if any(name not in modules for name in names):
        raise ValueError("no such submodule")
    got = _capture(model, x, list(modules)[1:], missing=lambda seen, names: seen)
    if any(name not in got for name in names):
        raise ValueError("it did not run")
    return got


@wrong(capture_activations)
def also_below(model, x, names):
    """submodules of the named ones are returned too: names are compared by their beginning"""
    modules = dict(model.named_modules(remove_duplicate=False))
    below = [n for n in modules if any(n.startswith(name) for name in names) and n not in names]
    got = _capture(model, x, names + below, missing=lambda seen, _: seen)
    if any(name not in got for name in names):
        raise ValueError("it did not run")
    return got


@wrong(capture_activations)
def a_pass_a_name(model, x, names):
    """the model runs once for every name, not once for all"""
    if not names:
        return {}
    return {name: _capture(model, x, [name])[name] for name in names}


@wrong(capture_activations)
def as_it_is(model, x, names):
    """the model is not put into eval: dropout drops and batch norm counts this batch"""
    return _capture(model, x, names, evaluate=False)


@wrong(capture_activations)
def left_in_eval(model, x, names):
    """the model is left in eval"""
    return _capture(model, x, names, restore=False)


@wrong(capture_activations)
def mode_of_the_root(model, x, names):
    """only the root's mode is remembered: train(mode) gives it to every submodule"""
    mode = model.training
    try:
        return _capture(model, x, names)
    finally:
        model.train(mode)


@wrong(capture_activations)
def modes_back_by_train(model, x, names):
    """modes are put back by train(mode), which a later parent gives to a shared submodule again"""
    modes = [(module, module.training) for module in model.modules()]
    try:
        return _capture(model, x, names)
    finally:
        for module, mode in modes:
            module.train(mode)


@wrong(capture_activations)
def eval_only_if_the_root_trains(model, x, names):
    """only the root's mode is looked at: a part in train inside a model in eval stays in train"""
    return _capture(model, x, names, evaluate=model.training)


@wrong(capture_activations)
def by_forward(model, x, names):
    """model.forward(x) is called, not model(x): the caller's hooks on the model do not run"""
    hooks = model._forward_hooks.copy()
    model._forward_hooks.clear()
    try:
        return _capture(model, x, names)
    finally:
        model._forward_hooks.update(hooks)


@wrong(capture_activations)
def hooks_left(model, x, names):
    """the hooks are not removed: they stay in the model"""
    return _capture(model, x, names, remove=False)


@wrong(capture_activations)
def hooks_left_after_an_exception(model, x, names):
    """the hooks are removed only if all goes well: after an exception in the model they stay"""
    try:
        return capture_activations(model, x, names)
    except ValueError:
        raise
    except Exception:
        for name in names:
            model.get_submodule(name).register_forward_hook(_keep({}, name))
        raise


@wrong(capture_activations)
def modes_not_back_after_an_exception(model, x, names):
    """the modes come back only if all goes well: after an exception the model is left in eval"""
    try:
        return capture_activations(model, x, names)
    except ValueError:
        raise
    except Exception:
        model.eval()
        raise


@wrong(capture_activations)
def hooks_left_when_refused(model, x, names):
    """when a name is refused, the hooks of the names before it stay in the model"""
    for place, name in enumerate(names):
        if name not in dict(model.named_modules(remove_duplicate=False)):
            for earlier in names[:place]:
                model.get_submodule(earlier).register_forward_hook(_keep({}, earlier))
            raise ValueError(f"no {name}")
    return capture_activations(model, x, names)


@wrong(capture_activations)
def callers_hooks_cleared(model, x, names):
    """all hooks of the modules are cleared at the end, the caller's own too"""
    got = capture_activations(model, x, names)
    for name in names:
        model.get_submodule(name)._forward_hooks.clear()
    return got


@wrong(capture_activations)
def exception_swallowed(model, x, names):
    """an exception of the model is swallowed: what was seen before it is returned"""
    seen = {}
    try:
        _capture(model, x, names, keep=lambda own, name: _keep(seen, name), missing=lambda *_: 0)
    except ArithmeticError:
        return seen
    if any(name not in seen for name in names):
        raise ValueError("it did not run")
    return seen


@wrong(capture_activations)
def unknown_left_out(model, x, names):
    """a name that the model does not have is left out instead of being refused"""
    modules = dict(model.named_modules(remove_duplicate=False))
    return capture_activations(model, x, [name for name in names if name in modules])


@wrong(capture_activations)
def unknown_as_torch_says(model, x, names):
    """a name that the model does not have comes out as another error than a ValueError"""
    for name in names:
        model.get_submodule(name)
    return capture_activations(model, x, names)


@wrong(capture_activations)
def idle_left_out(model, x, names):
    """a submodule that did not run is left out instead of being refused"""
    return _capture(model, x, names, missing=lambda seen, _: seen)


@wrong(capture_activations)
def idle_is_none(model, x, names):
    """a submodule that did not run is given as None instead of being refused"""
    return _capture(model, x, names, missing=lambda seen, names: {n: seen.get(n) for n in names})


@wrong(capture_activations)
def idle_is_a_key_error(model, x, names):
    """a submodule that did not run comes out as a KeyError, not as a ValueError"""
    return _capture(model, x, names, missing=lambda seen, names: {n: seen[n] for n in names})


_REMEMBERED = {}


@wrong(capture_activations)
def one_dict_for_all_calls(model, x, names):
    """one dict serves all calls: a later call writes into what an earlier one returned"""
    got = capture_activations(model, x, names)
    _REMEMBERED.clear()
    _REMEMBERED.update(got)
    return _REMEMBERED


@wrong(capture_activations)
def as_numpy(model, x, names):
    """the activations are numpy arrays, not tensors"""
    return _capture(model, x, names, finish=lambda seen: {n: o.numpy() for n, o in seen.items()})


@wrong(capture_activations)
def always_float32(model, x, names):
    """the activations are cast to float32"""
    return _capture(model, x, names, finish=lambda seen: {n: o.float() for n, o in seen.items()})


@wrong(capture_activations)
def frozen(model, x, names):
    """the parameters are frozen (requires_grad off) and stay so"""
    model.requires_grad_(False)
    return capture_activations(model, x, names)


@wrong(capture_activations)
def gradients_left_off(model, x, names):
    """torch's gradients are switched off and not on again"""
    torch.set_grad_enabled(False)
    return capture_activations(model, x, names)


@wrong(capture_activations)
def gradients_left_on(model, x, names):
    """torch's gradients are on after the call, also where the caller had them off"""
    got = capture_activations(model, x, names)
    torch.set_grad_enabled(True)
    return got


def show(answer):
    """Two channels of a trained network, before and after the ReLU that works in place."""
    from data import digits
    from dojo.pictures import signed_maps

    images, labels = (torch.from_numpy(array) for array in digits())
    torch.default_generator.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 5, padding=2), nn.ReLU(inplace=True), nn.AdaptiveMaxPool2d(1),
        nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for batch in torch.randperm(len(images)).repeat(3).split(128):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
    digit = images[4:5]
    seen = answer.capture_activations(model, digit, ["0", "1", "3", "4"])
    most = {name: maps.abs().max().clamp(min=1e-12) for name, maps in seen.items()}
    maps = {}
    for before, after, layer in (("0", "1", "conv 1"), ("3", "4", "conv 2")):
        for channel in seen[after][0].flatten(1).std(1).topk(2).indices.tolist():
            for name, when in ((before, "before"), (after, "after")):
                title = f"{layer}, channel {channel}, {when} its ReLU"
                maps[title] = seen[name][0, channel] / most[before]
    return signed_maps({"a digit": digit}, maps)
