"""Writes distil.json: losses of distillation and merged weights as PyTorch and the papers' code have them.

python crates/gradloom-compress/tests/golden/distil.py
"""

import json
import pathlib

import torch
import torch.nn.functional as F


def flat(tensor):
    return [round(value, 9) for value in tensor.double().flatten().tolist()]


def pairwise(x):
    squares = x.pow(2).sum(1)
    distances = (squares[:, None] + squares[None] - 2 * x @ x.T).clamp(min=1e-12).sqrt()
    distances = distances.clone()
    distances.fill_diagonal_(0)
    return distances


def relational(student, teacher):
    """The authors' code: github.com/lenscloth/RKD, metric/loss.py."""
    with torch.no_grad():
        wanted = pairwise(teacher)
        wanted = wanted / wanted[wanted > 0].mean()
        apart = teacher.unsqueeze(0) - teacher.unsqueeze(1)
        direction = F.normalize(apart, p=2, dim=2)
        wanted_angle = torch.bmm(direction, direction.transpose(1, 2)).view(-1)
    own = pairwise(student)
    own = own / own[own > 0].mean()
    direction = F.normalize(student.unsqueeze(0) - student.unsqueeze(1), p=2, dim=2)
    angle = torch.bmm(direction, direction.transpose(1, 2)).view(-1)
    return F.smooth_l1_loss(own, wanted) + 2 * F.smooth_l1_loss(angle, wanted_angle)


def ties(base, models, density, scale):
    """https://arxiv.org/abs/2306.01708, algorithm 1."""
    tasks = torch.stack([(model - base).flatten() for model in models])
    kept = round(tasks.shape[1] * density)
    for task in tasks:
        task[task.abs().sort(stable=True)[1][:tasks.shape[1] - kept]] = 0
    sign = tasks.sum(0).sign()
    agrees = (tasks.sign() * sign) > 0
    merged = (tasks * agrees).sum(0) / agrees.sum(0).clamp(min=1)
    return base + scale * merged.view_as(base)


def slerp(first, second, part):
    a, b = first.flatten(), second.flatten()
    angle = torch.acos((a @ b) / (a.norm() * b.norm()))
    return (torch.sin((1 - part) * angle) * first + torch.sin(part * angle) * second) / torch.sin(angle)


def main():
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator)
    student, teacher = draw(6, 5).requires_grad_(), draw(6, 5)
    wide = draw(6, 9)
    features, wanted = draw(2, 3, 4, 4), draw(2, 7, 4, 4)
    golden = {
        "student": flat(student), "teacher": flat(teacher), "wide": flat(wide),
        "features": flat(features), "wanted": flat(wanted), "temperature": 3.0,
    }
    losses = {
        "distillation": F.kl_div(F.log_softmax(student / 3.0, 1), F.softmax(teacher / 3.0, 1),
                                 reduction="batchmean") * 9.0,
        "hidden": F.mse_loss(student, teacher),
        "cosine": (1 - F.cosine_similarity(student, teacher)).mean(),
        "relational": relational(student, wide),
    }
    for name, loss in losses.items():
        gradient, = torch.autograd.grad(loss, student)
        golden[name] = {"loss": loss.item(), "gradient": flat(gradient)}
    energy = lambda x: F.normalize(x.pow(2).mean(1).flatten(1))
    golden["attention_transfer"] = (energy(features) - energy(wanted)).pow(2).mean().item()
    base, models = draw(3, 8), [draw(3, 8), draw(3, 8), draw(3, 8)]
    golden["base"] = flat(base)
    golden["models"] = [flat(model) for model in models]
    golden["ties"] = flat(ties(base, models, 0.4, 0.7))
    golden["slerp"] = flat(slerp(models[0], models[1], 0.3))
    path = pathlib.Path(__file__).with_name("distil.json")
    path.write_text(json.dumps(golden) + "\n")


main()
