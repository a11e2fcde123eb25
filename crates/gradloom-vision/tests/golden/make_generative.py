"""Writes what PyTorch and diffusers compute of networks that make pictures, in generative.json: in f64, of weights and
inputs that `fill` makes of their names, so that of a tensor its projection on a filled one and its norm are enough.

    pip install torch torchvision timm diffusers
    python make_generative.py
"""

import json
import math
import pathlib

import diffusers.models.embeddings as embeddings
import diffusers.schedulers.scheduling_ddpm as scheduling_ddpm
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
from torch import nn

from make import fill, value_of

HERE = pathlib.Path(__file__).parent


def number(value):
    return float(f"{float(torch.as_tensor(value).detach()):.15g}")


def numbers(tensor):
    return [float(f"{value:.12g}") for value in tensor.detach().double().flatten().tolist()]


def filled(module):
    """The module in f64 with the values of its names."""
    module.double()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(value_of(name, tuple(parameter.shape)))
    return module


def summary(name, tensor):
    """As in make.py, with more digits."""
    tensor = tensor.detach().double()
    return [number((tensor * fill("probe." + name, tuple(tensor.shape))).sum()), number(tensor.norm())]


def gradients(loss, module):
    names, parameters = zip(*module.named_parameters())
    found = torch.autograd.grad(loss, parameters)
    return {name: summary(name, gradient) for name, gradient in zip(names, found)}


class Encoder(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.convs = nn.Sequential(nn.Conv2d(2, 4, 4, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 4, 2, 1), nn.ReLU())
        self.head = nn.Linear(6 * 3 * 3, outputs)

    def forward(self, x):
        return self.head(self.convs(x).flatten(1))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(5, 6 * 3 * 3)
        self.convs = nn.Sequential(
            nn.ReLU(), nn.ConvTranspose2d(6, 4, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(4, 2, 4, 2, 1))

    def forward(self, z):
        return self.convs(self.stem(z).unflatten(1, (6, 3, 3)))


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(10), Decoder()


def vae(likelihood, beta):
    model = filled(Vae())
    x, noise = fill("pictures", (3, 2, 12, 12), 0.5, 0.5), fill("noise", (3, 5))
    mean, log_variance = model.encoder(x).chunk(2, 1)
    outputs = model.decoder(mean + (log_variance / 2).exp() * noise)
    if likelihood == "bernoulli":
        each = F.binary_cross_entropy_with_logits(outputs, x, reduction="none")
    else:
        each = -torch.distributions.Normal(outputs, 0.3).log_prob(x)
    reconstruction = each.flatten(1).sum(1).mean()
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    kl = torch.distributions.kl_divergence(posterior, prior).sum(1).mean()
    total = reconstruction + beta * kl
    return {"total": number(total), "reconstruction": number(reconstruction), "kl": number(kl),
            "gradients": gradients(total, model)}


def quantizer():
    """The published layer's formulas with a moving average, over four batches."""
    codes, size, decay, epsilon, commitment = 6, 4, 0.8, 1e-5, 0.25
    codebook = fill("codebook", (codes, size))
    counts, sums = torch.ones(codes, dtype=torch.double), codebook.clone()
    steps = []
    for step in range(4):
        z = fill(f"vectors.{step}", (2, size, 3, 5), 1.5).requires_grad_()
        rows = z.permute(0, 2, 3, 1).reshape(-1, size)
        nearest = torch.cdist(rows, codebook).argmin(1)
        picked = codebook[nearest].reshape(2, 3, 5, size).permute(0, 3, 1, 2)
        loss = commitment * F.mse_loss(z, picked.detach())
        straight = z + (picked - z).detach()
        (gradient,) = torch.autograd.grad((straight * fill("cotangent", tuple(z.shape))).sum() + loss, z)
        one_hot = F.one_hot(nearest, codes).double()
        shares = one_hot.mean(0)
        steps.append({"codes": nearest.tolist(), "loss": number(loss), "vectors": numbers(picked),
                      "gradient": numbers(gradient),
                      "perplexity": number(torch.exp(-(shares * (shares + 1e-300).log()).sum()))})
        counts = decay * counts + (1 - decay) * one_hot.sum(0)
        sums = decay * sums + (1 - decay) * one_hot.t() @ rows.detach()
        total = counts.sum()
        smooth = (counts + epsilon) / (total + codes * epsilon) * total
        codebook = sums / smooth[:, None]
        steps[-1] |= {"codebook": numbers(codebook), "counts": numbers(counts), "sums": numbers(sums)}
    return steps


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        def norm(channels):
            return [nn.BatchNorm2d(channels), nn.ReLU()]
        self.label = nn.Embedding(3, 4)
        self.main = nn.Sequential(
            nn.ConvTranspose2d(6 + 4, 8, 7, 1, 0, bias=False), *norm(8),
            nn.ConvTranspose2d(8, 4, 4, 2, 1, bias=False), *norm(4),
            nn.ConvTranspose2d(4, 1, 4, 2, 1, bias=False), nn.Tanh())

    def forward(self, z, labels):
        return self.main(torch.cat([z, self.label(labels)], 1)[:, :, None, None])


class Discriminator(nn.Module):
    """Of 28 x 28; `label` is a vector for the projection, or a plane."""

    def __init__(self, norm, label):
        super().__init__()
        norms = {"batch": [nn.BatchNorm2d(8)], "sample": [nn.GroupNorm(1, 8)], "none": []}[norm]
        biased, self.how = norm == "none", label
        self.main = nn.Sequential(
            nn.Conv2d(2 if label == "channel" else 1, 4, 4, 2, 1, bias=biased), nn.LeakyReLU(0.2),
            nn.Conv2d(4, 8, 4, 2, 1, bias=biased), *norms, nn.LeakyReLU(0.2),
            nn.Conv2d(8, 1, 7, 1, 0, bias=False))
        if label:
            self.label = nn.Embedding(3, 8 if label == "projection" else 28 * 28)

    def forward(self, x, labels):
        if self.how == "channel":
            x = torch.cat([x, self.label(labels).reshape(-1, 1, 28, 28)], 1)
        features = self.main[:-1](x)
        scores = self.main[-1](features).flatten()
        if self.how == "projection":
            scores = scores + (features.sum((2, 3)) * self.label(labels)).sum(1)
        return scores


LABELS = torch.tensor([2, 0, 1, 2])


def wgan_gp(norm, label):
    critic = filled(Discriminator(norm, label))
    real, made = fill("real", (4, 1, 28, 28)), fill("made", (4, 1, 28, 28))
    shares = fill("shares", (4, 1, 1, 1), 0.5, 0.5)
    points = (shares * real + (1 - shares) * made).requires_grad_()
    (slopes,) = torch.autograd.grad(critic(points, LABELS).sum(), points, create_graph=True)
    penalty = ((slopes.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
    distance = critic(real, LABELS).mean() - critic(made, LABELS).mean()
    total = 10 * penalty - distance
    return {"total": number(total), "distance": number(distance), "penalty": number(penalty),
            "gradients": gradients(total, critic)}


def gan(kind):
    """Both losses, with the gradient of the discriminator and, through it, of the generator."""
    generator, discriminator = filled(Generator()), filled(Discriminator("batch", "projection"))
    made = generator(fill("noise", (4, 6)), LABELS)
    real = fill("real", (4, 1, 28, 28))
    scores_real, scores_made = discriminator(real, LABELS), discriminator(made.detach(), LABELS)
    scores = discriminator(made, LABELS)
    if kind == "non_saturating":
        bce = F.binary_cross_entropy_with_logits
        own = bce(scores_real, torch.ones(4).double()) + bce(scores_made, torch.zeros(4).double())
        other = bce(scores, torch.ones(4).double())
    elif kind == "hinge":
        own = F.relu(1 - scores_real).mean() + F.relu(1 + scores_made).mean()
        other = -scores.mean()
    else:
        own = ((scores_real - 1) ** 2).mean() / 2 + (scores_made**2).mean() / 2
        other = ((scores - 1) ** 2).mean() / 2
    return {"discriminator": number(own), "generator": number(other),
            "discriminator_gradients": gradients(own, discriminator),
            "generator_gradients": gradients(other, generator)}


def in_f64(scheduler):
    """The same scheduler with its tables in f64, made of its own betas' formula."""
    steps, name = len(scheduler.betas), scheduler.config.beta_schedule
    if name == "linear":
        betas = torch.linspace(scheduler.config.beta_start, scheduler.config.beta_end, steps, dtype=torch.double)
    else:
        left = lambda share: math.cos((share + 0.008) / 1.008 * math.pi / 2) ** 2
        betas = torch.tensor([min(1 - left((i + 1) / steps) / left(i / steps), 0.999) for i in range(steps)],
                             dtype=torch.double)
    assert torch.allclose(betas.float(), scheduler.betas, rtol=1e-4, atol=1e-9), name
    scheduler.betas, scheduler.alphas = betas, 1 - betas
    scheduler.alphas_cumprod = torch.cumprod(scheduler.alphas, 0)
    scheduler.one = scheduler.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.double)
    return scheduler


KINDS = {"noise": "epsilon", "velocity": "v_prediction", "picture": "sample"}


def schedules():
    result = {}
    for name in ["linear", "squaredcos_cap_v2"]:
        scheduler = in_f64(DDPMScheduler(1000, beta_schedule=name))
        result[name] = {"alpha_bars": numbers(scheduler.alphas_cumprod[::37]),
                        "betas": numbers(scheduler.betas[::37])}
    for count in [1, 7, 10, 30, 1000]:
        scheduler = DDIMScheduler(1000, timestep_spacing="trailing")
        scheduler.set_timesteps(count)
        # Where rounding gives a step before the first, it is the first.
        result[f"spaced_{count}"] = scheduler.timesteps.clamp(min=0).tolist()
    return result


def steps():
    """Single steps of both samplers: (schedule, prediction, bound, eta or None, step, before)."""
    x, predicted = fill("x", (2, 1, 3, 3), 1.5), fill("predicted", (2, 1, 3, 3), 1.5)
    noise = fill("noise", (2, 1, 3, 3), 1.7)
    scheduling_ddpm.randn_tensor = lambda *_, **__: noise
    cases = []
    for schedule in ["linear", "squaredcos_cap_v2"]:
        for kind, theirs in KINDS.items():
            for bound in [None, 1.0]:
                shared = dict(num_train_timesteps=100, beta_schedule=schedule, prediction_type=theirs,
                              clip_sample=bound is not None, timestep_spacing="trailing")
                for count, step, before in [(10, 99, 89), (10, 49, 39), (10, 9, None), (100, 1, 0), (100, 0, None)]:
                    for eta in [None, 0.0, 0.6]:
                        case = [schedule, kind, bound, eta, step, before]
                        if eta is None:
                            scheduler = in_f64(DDPMScheduler(**shared))
                            scheduler.set_timesteps(count)
                            # diffusers adds no noise at step 0 only; with fewer steps its variance is 1e-20 there.
                            y = scheduler.step(predicted, step, x).prev_sample
                        else:
                            scheduler = in_f64(DDIMScheduler(**shared))
                            scheduler.set_timesteps(count)
                            y = scheduler.step(predicted, step, x, eta=eta, use_clipped_model_output=True,
                                               variance_noise=noise).prev_sample
                        cases.append({"case": case, "next": numbers(y)})
    return cases


def training():
    """Pictures with noise, and what a network is held to."""
    scheduler = in_f64(DDPMScheduler(100, beta_schedule="squaredcos_cap_v2"))
    pictures, noise = fill("pictures", (3, 2, 2, 2)), fill("noise", (3, 2, 2, 2))
    at = torch.tensor([0, 40, 99])
    return {"noised": numbers(scheduler.add_noise(pictures, noise, at)),
            "velocity": numbers(scheduler.get_velocity(pictures, noise, at))}


def sinusoids(timesteps, embedding_dim, flip_sin_to_cos=False, downscale_freq_shift=1, **_):
    """diffusers' embedding of steps in f64, which it computes in f32."""
    half = embedding_dim // 2
    speeds = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.double) / (half - downscale_freq_shift))
    angles = timesteps[:, None].double() * speeds
    parts = [angles.cos(), angles.sin()] if flip_sin_to_cos else [angles.sin(), angles.cos()]
    return torch.cat(parts, 1)


ORIGINAL = embeddings.get_timestep_embedding


def unet(**options):
    at = torch.tensor([3, 977])
    for flip, shift in [(True, 0), (False, 1)]:
        theirs = ORIGINAL(at, 8, flip_sin_to_cos=flip, downscale_freq_shift=shift)
        assert torch.allclose(theirs.double(), sinusoids(at, 8, flip, shift), atol=1e-3)
    embeddings.get_timestep_embedding = sinusoids
    model = filled(UNet2DModel(sample_size=8, in_channels=2, out_channels=2, block_out_channels=(8, 12),
                               norm_num_groups=4, **options))
    x = fill("pictures", (2, 2, 8, 8))
    labels = torch.tensor([1, 3]) if options.get("num_class_embeds") else None
    y = model(x, at, class_labels=labels).sample
    loss = (y * fill("cotangent", tuple(y.shape))).sum()
    return {"output": numbers(y), "gradients": gradients(loss, model)}


if __name__ == "__main__":
    result = {
        "vae_bernoulli": vae("bernoulli", 0.7), "vae_gaussian": vae("gaussian", 2.0), "quantizer": quantizer(),
        "wgan_gp_sample": wgan_gp("sample", "projection"), "wgan_gp_none": wgan_gp("none", "channel"),
        "gan_non_saturating": gan("non_saturating"), "gan_hinge": gan("hinge"),
        "gan_least_squares": gan("least_squares"),
        "schedules": schedules(), "steps": steps(), "training": training(),
        "unet_classes": unet(down_block_types=("DownBlock2D", "AttnDownBlock2D"),
                             up_block_types=("AttnUpBlock2D", "UpBlock2D"), layers_per_block=1,
                             attention_head_dim=4, num_class_embeds=4),
        "unet_published": unet(down_block_types=("DownBlock2D", "DownBlock2D"),
                               up_block_types=("UpBlock2D", "UpBlock2D"), layers_per_block=2,
                               attention_head_dim=None, downsample_padding=0, flip_sin_to_cos=False, freq_shift=1,
                               norm_eps=1e-6),
    }
    text = json.dumps(result, separators=(",", ":")).replace('},"', '},\n"')
    (HERE / "generative.json").write_text(text + "\n")
    print(len(text), "bytes")
