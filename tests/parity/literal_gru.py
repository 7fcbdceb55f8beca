"""A GRU written out gate by gate."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def step(cell: nn.Module, x: Tensor, state: Tensor, ending: str = "") -> Tensor:
    """The state after one input; parameters of a layer of ``nn.GRU`` end in "_l0" and so on."""
    w_r, w_z, w_n = getattr(cell, f"weight_ih{ending}").chunk(3)
    u_r, u_z, u_n = getattr(cell, f"weight_hh{ending}").chunk(3)
    b_r, b_z, b_n = getattr(cell, f"bias_ih{ending}").chunk(3)
    c_r, c_z, c_n = getattr(cell, f"bias_hh{ending}").chunk(3)
    reset = torch.sigmoid(w_r @ x + b_r + u_r @ state + c_r)
    update = torch.sigmoid(w_z @ x + b_z + u_z @ state + c_z)
    candidate = torch.tanh(w_n @ x + b_n + reset * (u_n @ state + c_n))
    return (1 - update) * candidate + update * state


def all_states(gru: nn.GRU, inputs: list[Tensor]) -> list[Tensor]:
    """States of the last layer, one a click."""
    for layer in range(gru.num_layers):
        state = torch.zeros(gru.hidden_size, dtype=gru.weight_ih_l0.dtype)
        states = []
        for x in inputs:
            state = step(gru, x, state, f"_l{layer}")
            states.append(state)
        inputs = states
    return inputs
