"""A GRU written out gate by gate."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def all_states(gru: nn.GRU, inputs: list[Tensor]) -> list[Tensor]:
    """States of the last layer, one a click."""
    for layer in range(gru.num_layers):
        w_r, w_z, w_n = getattr(gru, f"weight_ih_l{layer}").chunk(3)
        u_r, u_z, u_n = getattr(gru, f"weight_hh_l{layer}").chunk(3)
        b_r, b_z, b_n = getattr(gru, f"bias_ih_l{layer}").chunk(3)
        c_r, c_z, c_n = getattr(gru, f"bias_hh_l{layer}").chunk(3)
        state = torch.zeros(gru.hidden_size, dtype=w_r.dtype)
        states = []
        for x in inputs:
            reset = torch.sigmoid(w_r @ x + b_r + u_r @ state + c_r)
            update = torch.sigmoid(w_z @ x + b_z + u_z @ state + c_z)
            candidate = torch.tanh(w_n @ x + b_n + reset * (u_n @ state + c_n))
            state = (1 - update) * candidate + update * state
            states.append(state)
        inputs = states
    return inputs
