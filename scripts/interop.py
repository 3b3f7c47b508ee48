"""Loads adapters that Lokahi wrote in PEFT and in LyCORIS, and compares what their layers do.

    cargo test --test native files_for_interop -- --ignored
    python scripts/interop.py target/tmp/interop

Needs: pip install torch 'peft==0.21.*' 'lycoris-lora==4.1.*' (and safetensors, transformers, which
they bring). Each folder holds base.safetensors, expected.safetensors (`<module>.merged` in the layout of
the base), peft/ and, where the format can hold the adapter, lycoris.safetensors. Every output must be
within 1e-5 of the largest one.
"""

import logging
import sys
import warnings
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

TOLERANCE = 1e-5
CONV = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}


def layer(weight, bias, kind):
    """A layer of the base."""
    if kind == 'embedding':
        return nn.Embedding(*weight.shape, _weight=weight)
    if kind == 'conv1d':
        new = Conv1D(weight.shape[1], weight.shape[0])
        bias = torch.zeros(weight.shape[1]) if bias is None else bias
    elif weight.dim() == 2:
        new = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    else:
        kernel = tuple(weight.shape[2:])
        new = CONV[weight.dim()](weight.shape[1], weight.shape[0], kernel, bias=bias is not None)
    new.weight.data.copy_(weight)
    if bias is not None:
        new.bias.data.copy_(bias)
    return new


def apply(kind, weight, bias, x):
    """What a layer with these numbers makes of `x`."""
    if kind == 'embedding':
        return F.embedding(x, weight)
    if kind == 'conv1d':
        return x @ weight + (0 if bias is None else bias)
    return {2: F.linear, 3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[weight.dim()](x, weight, bias)


def example(kind, weight):
    """An input."""
    if kind == 'embedding':
        return torch.arange(weight.shape[0])
    if weight.dim() == 2:
        return torch.randn(5, weight.shape[0 if kind == 'conv1d' else 1])
    return torch.randn(2, weight.shape[1], *(k + 3 for k in weight.shape[2:]))


def kinds(folder, base):
    """Modules of the base, and which are embeddings or of GPT-2."""
    names = [name.removesuffix('.weight') for name in base if name.endswith('.weight')]
    model = folder / 'peft' / 'adapter_model.safetensors'
    stored = load_file(model) if model.exists() else {}
    tables = {name for name in names if f'base_model.model.{name}.lora_embedding_A' in stored}
    linear = 'conv1d' if 'gpt2' in folder.name else 'layer'
    return {name: 'embedding' if name in tables else linear for name in names}


def net(base, kinds):
    """All layers of the base, at their places."""
    root = nn.Module()
    for name, kind in kinds.items():
        *path, last = name.split('.')
        at = root
        for part in path:
            if not hasattr(at, part):
                at.add_module(part, nn.Module())
            at = getattr(at, part)
        at.add_module(last, layer(base[f'{name}.weight'], base.get(f'{name}.bias'), kind))
    root.config = {'model_type': 'custom', 'tie_word_embeddings': False}
    root.forward = lambda x: x
    return root


def compare(root, base, expected, kinds):
    """The largest error of all layers, as a part of the largest output of each."""
    worst, count = 0.0, 0
    for name, kind in kinds.items():
        merged = expected.get(f'{name}.merged')
        if merged is None:
            continue
        bias = base.get(f'{name}.bias')
        if f'{name}.bias.merged' in expected:
            bias = expected[f'{name}.bias.merged']
        elif f'{name}.bias.delta' in expected:
            bias = bias + expected[f'{name}.bias.delta']
        x = example(kind, merged)
        with torch.no_grad():
            got = root.get_submodule(name)(x)
        want = apply(kind, merged.double(), None if bias is None else bias.double(),
                     x if kind == 'embedding' else x.double())
        plain = apply(kind, base[f'{name}.weight'].double(),
                      None if f'{name}.bias' not in base else base[f'{name}.bias'].double(),
                      x if kind == 'embedding' else x.double())
        largest = want.abs().max()
        if not (plain - want).abs().max() > 1e-3 * largest:
            raise AssertionError(f'{name}: the adapter does nothing here')
        error = ((got.double() - want).abs().max() / largest).item()
        worst = max(worst, error) if error == error else float('nan')
        count += 1
    if count == 0:
        raise AssertionError('nothing to compare')
    return worst, count


def in_peft(folder, base, expected, kinds):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        model = PeftModel.from_pretrained(net(base, kinds), folder / 'peft').eval()
    missing = [str(w.message) for w in told if 'missing' in str(w.message)]
    if missing:
        raise AssertionError(missing[0])
    return compare(model.base_model.model, base, expected, kinds)


def parts(stored, name):
    """The tensors of one module, by suffix."""
    return {key.removeprefix(f'{name}.'): value for key, value in stored.items()
            if key.startswith(f'{name}.')}


def lokr_by_hand(name, layer, own):
    """LyCORIS 4.1 has modules that its own loader cannot rebuild: it takes the rank of a LoKr with a
    core from the wrong dimension, and forgets unbalanced_factorization."""
    from lycoris.modules.lokr import LokrModule

    rank, alpha, core = own['lokr_w2_b'].shape[0], float(own['alpha']), 'lokr_t2' in own
    for factor in [-1, *range(1, 1 + max(own['lokr_w1'].shape))]:
        for unbalanced in [False, True]:
            module = LokrModule(name, layer, 1, rank, alpha, use_tucker=core, factor=factor,
                                unbalanced_factorization=unbalanced)
            if all(value.shape == own[key].shape for key, value in module.named_parameters()
                   if key in own):
                missing, unexpected = module.load_state_dict(own, strict=False)
                if unexpected or any('lokr' in key for key in missing):
                    raise AssertionError(f'{name}: {missing} {unexpected}')
                return module
    raise AssertionError(f'{name}: LyCORIS makes no such factors')


def in_lycoris(folder, base, expected, kinds):
    from lycoris.modules import get_module, make_module

    stored = load_file(folder / 'lycoris.safetensors')
    root = net(base, kinds)
    places = {f'lycoris_{name}'.replace('.', '_'): root.get_submodule(name) for name in kinds}
    for name in sorted({key.split('.')[0] for key in stored}):
        own = parts(stored, name)
        w1, w2 = own.get('lokr_w1'), own.get('lokr_w2_a')
        if 'lokr_t2' in own or (w1 is not None and w2 is not None and w1.shape[0] > w2.shape[0]):
            module = lokr_by_hand(name, places[name], own)
        else:
            kind, tensors = get_module(stored, name)
            with torch.no_grad():
                module = make_module(kind, tensors, name, places[name])
        module.apply_to()
        module.eval()
    return compare(root, base, expected, kinds)


def main():
    torch.manual_seed(0)
    logging.getLogger('LyCORIS').setLevel(logging.ERROR)
    folders = sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_dir())
    failed, done = 0, 0
    for folder in folders:
        base, expected = (load_file(folder / f'{name}.safetensors') for name in ('base', 'expected'))
        layers = kinds(folder, base)
        for program, check in {'peft': in_peft, 'lycoris.safetensors': in_lycoris}.items():
            if not (folder / program).exists():
                continue
            if check is in_lycoris and 'conv1d' in layers.values():
                continue  # LyCORIS knows no Conv1D of transformers.
            try:
                error, count = check(folder, base, expected, layers)
                good, said = error <= TOLERANCE, f'{count} layers within {error:.1e}'
            except Exception as error:  # The next folder may still be right.
                good, said = False, f'{type(error).__name__}: {error}'
            print(f'{"ok  " if good else "FAIL"} {folder.name}, {program.split(".")[0]}: {said}')
            failed, done = failed + (not good), done + 1
    print(f'{done - failed} of {done} passed')
    sys.exit(1 if failed or not done else 0)


if __name__ == '__main__':
    main()
