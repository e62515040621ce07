"""Golden recurrent layers from PyTorch, float64: what they compute, and gradients of sum(output**2).

python make_golden.py  ->  golden_rnn.npz; keys "<name>/<array>", arrays named as in PyTorch's state dict:
weights, inputs, outputs, final states, gradients. Shapes as PyTorch: x (T, D), output (T, H * directions),
gate order LSTM i,f,g,o and GRU r,z,n, biases b_ih and b_hh. PyTorch is needed for this script alone.
"""

import numpy as np
import torch

CASES = [  # name, class, input size, hidden size, options
    ("lstm", torch.nn.LSTM, 3, 5, {}),
    ("lstm_16", torch.nn.LSTM, 1, 16, {}),
    ("lstm_stacked", torch.nn.LSTM, 3, 7, {"num_layers": 2}),
    ("lstm_bidirectional", torch.nn.LSTM, 2, 6, {"bidirectional": True}),
    ("gru", torch.nn.GRU, 3, 5, {}),
    ("gru_16", torch.nn.GRU, 1, 16, {}),
    ("gru_stacked", torch.nn.GRU, 3, 7, {"num_layers": 3}),
    ("gru_bidirectional", torch.nn.GRU, 2, 6, {"bidirectional": True}),
    ("elman_tanh", torch.nn.RNN, 3, 5, {"nonlinearity": "tanh"}),
    ("elman_relu", torch.nn.RNN, 3, 5, {"nonlinearity": "relu"}),
    ("elman_stacked", torch.nn.RNN, 2, 4, {"num_layers": 2}),
    ("gru_bidirectional_stacked", torch.nn.GRU, 2, 4, {"bidirectional": True, "num_layers": 2}),
]
torch.manual_seed(0)
out = {"torch_version": np.array(torch.__version__)}
for name, cls, d, h, options in CASES:
    net = cls(d, h, dtype=torch.float64, **options)
    x = torch.randn(24, d, dtype=torch.float64, requires_grad=True)
    y, state = net(x)
    (y**2).sum().backward()
    out[f"{name}/x"], out[f"{name}/output"] = x.detach().numpy(), y.detach().numpy()
    states = state if isinstance(state, tuple) else (state,)
    for label, s in zip("hc", states, strict=False):
        out[f"{name}/{label}_n"] = s.detach().numpy()
    out[f"{name}/grad_x"] = x.grad.numpy()
    for key, p in net.named_parameters():
        out[f"{name}/{key}"], out[f"{name}/grad_{key}"] = p.detach().numpy(), p.grad.numpy()
np.savez_compressed("golden_rnn.npz", **out)
print(len(out), "arrays")  # noqa: T201
