"""How long a round of WGAN-GP takes with PyTorch, the same as wgan_gp_speed.rs beside it.

    python wgan_gp_speed.py [threads]
"""

import sys
import time

import torch
from torch import nn

ROUNDS, REPEATS = 10, 5
torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
torch.manual_seed(0)

generator = nn.Sequential(
    nn.ConvTranspose2d(100, 128, 7, 1, 0, bias=False), nn.BatchNorm2d(128), nn.ReLU(True),
    nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(True),
    nn.ConvTranspose2d(64, 1, 4, 2, 1, bias=False), nn.Tanh())
critic = nn.Sequential(
    nn.Conv2d(1, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2),
    nn.Conv2d(64, 128, 4, 2, 1, bias=False), nn.GroupNorm(1, 128), nn.LeakyReLU(0.2),
    nn.Conv2d(128, 1, 7, 1, 0, bias=False), nn.Flatten(0))
adam = lambda model: torch.optim.Adam(model.parameters(), 1e-4, (0.0, 0.9))
generators, critics = adam(generator), adam(critic)
real = torch.rand(64, 1, 28, 28) * 2 - 1


def critic_round():
    with torch.no_grad():
        made = generator(torch.randn(64, 100, 1, 1))
    shares = torch.rand(64, 1, 1, 1)
    points = (made + (real - made) * shares).requires_grad_()
    (slopes,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    penalty = ((slopes.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
    loss = 10 * penalty - critic(real).mean() + critic(made).mean()
    critics.zero_grad(set_to_none=True)
    loss.backward()
    critics.step()
    assert loss.item() == loss.item()


def generator_round():
    for parameter in critic.parameters():
        parameter.requires_grad_(False)
    loss = -critic(generator(torch.randn(64, 100, 1, 1))).mean()
    generators.zero_grad(set_to_none=True)
    loss.backward()
    generators.step()
    for parameter in critic.parameters():
        parameter.requires_grad_(True)
    assert loss.item() == loss.item()


times = {"critic": [], "generator": []}
for repeat in range(REPEATS + 1):
    for name, function in [("critic", critic_round), ("generator", generator_round)]:
        start = time.perf_counter()
        for _ in range(ROUNDS):
            function()
        if repeat:
            times[name].append((time.perf_counter() - start) * 1e3 / ROUNDS)
for name, taken in times.items():
    print(f"{name}: {sorted(taken)[len(taken) // 2]:.1f} ms a step, {[round(t, 1) for t in sorted(taken)]}")
