"""A device that is not the CPU, on machines without one: tensors there compute on the CPU.

They call themselves tensors of the device ``meta``, so that kernels choose what they choose for a
GPU, and as on a GPU, NumPy cannot read them and they cannot meet tensors of the CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from proxysr.data.batches import SessionBatch

DEVICE = torch.device("meta")
aten = torch.ops.aten
MAY_MIX = {aten.copy_.default, aten.index.Tensor, aten.index_put_.default}
"""What takes tensors of the CPU beside those of a GPU: copies, and indices."""


class Remote(Tensor):
    """A tensor of the other device; ``local`` is where it computes."""

    local: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, local: Tensor) -> Remote:
        made: Remote = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, local.size(), strides=local.stride(), storage_offset=local.storage_offset(),
            dtype=local.dtype, layout=local.layout, device=DEVICE,
        )  # fmt: skip
        made.local = local
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} was called outside of OtherDevice()")

    def new_tensor(self, data: Any) -> Tensor:  # type: ignore[override]
        """PyTorch would not fill a tensor of the device meta."""
        return Remote(torch.tensor(data, dtype=self.dtype))

    def tolist(self) -> Any:
        """PyTorch refuses it of subclasses; on a GPU, it copies."""
        return self.cpu().tolist()


class OtherDevice(TorchDispatchMode):
    """While it is entered, operations of that device work."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves, spec = tree_flatten((args, kwargs))
        remote = {id(x.local): x for x in leaves if isinstance(x, Remote)}
        if remote and func not in MAY_MIX:
            own = [x for x in leaves if isinstance(x, Tensor) and not isinstance(x, Remote)]
            assert all(x.dim() == 0 for x in own), f"{func}: the CPU's tensor met one of the GPU"
        leaves = [x.local if isinstance(x, Remote) else x for x in leaves]
        own_args, own_kwargs = tree_unflatten(leaves, spec)
        is_remote = bool(remote)
        if own_kwargs.get("device") is not None:
            is_remote = torch.device(own_kwargs["device"]) == DEVICE
            own_kwargs["device"] = torch.device("cpu")
            own_kwargs.pop("non_blocking", None)

        def back(x: Any) -> Any:
            if not is_remote or not isinstance(x, Tensor):
                return x
            return remote[id(x)] if id(x) in remote else Remote(x)

        result = tree_map(back, func(*own_args, **own_kwargs))
        if func is aten.transpose_.default and is_remote:  # the end of a GRU
            with no_dispatch():
                func(*args)  # shape and strides of the tensor that has no numbers
        return result


def there(batch: SessionBatch) -> SessionBatch:
    """The batch on the other device."""
    return SessionBatch(*(Remote(x) if isinstance(x, Tensor) else x for x in batch))


def move(model: nn.Module) -> None:
    """Move a model there, in its place; to be called where operations of the device work."""
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            moved = nn.Parameter(Remote(parameter.detach().clone()), parameter.requires_grad)
            setattr(module, name, moved)
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, Remote(buffer.clone()))
