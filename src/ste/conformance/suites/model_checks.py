"""Checks of a net: shapes, training, seed, resume, replicas and export."""

import io
from inspect import signature
from typing import Any

import torch
from torch import nn

from ste.config.load import model_configs
from ste.conformance.suite import SUITES, Check, NotApplicable, expect
from ste.data.window_dataset import Batch
from ste.inference.export.onnx_file import trace
from ste.inference.export.parity import TOLERANCE, largest_difference
from ste.registry import MODELS
from ste.seed_ensembles.stacked_dropout import RandomStreams
from ste.seed_ensembles.stacking import stack
from ste.training.lone_example import running_statistics

STEPS = 3
_FEATURES, _PERIODS, _CLASSES, _EXAMPLES = 21, 4, 3, 12


def model_checks(name: str) -> list[Check]:
    """Return the checks of a net."""
    net = NetUnderTest(name)
    return [
        Check("input_view says what it reads", net.view),
        Check("logits [B, C] for any batch size", net.shapes),
        Check("sizes come from the data", net.sizes),
        Check("an example is predicted alone as in a batch", net.independence),
        Check("a batch of one example can be trained on", net.lone_example),
        Check("the gradient reaches every parameter", net.gradients),
        Check("the same seed gives the same net", net.seed),
        Check("a resumed training ends the same", net.resume),
        Check("replicas are trained together", net.replicas),
        Check("the ONNX file predicts the same", net.export),
        Check("adversarial training", net.adversarial),
    ]


class NetUnderTest:
    """A net that is built with the arguments of its configuration file.

    Args:
        name: in `MODELS`.
    """

    def __init__(self, name: str) -> None:
        self.name, self.kind = name, MODELS[name]
        files = [config for config in model_configs().values() if config.get("net") == name]
        self.arguments = {key: value for key, value in (files or [{}])[0].items() if key != "net" and value is not None}

    def build(self, seed: int = 0, **sizes: int) -> nn.Module:
        """Build the net with the sizes that it takes from the data."""
        known = {"input_size": _FEATURES, "num_classes": _CLASSES, "sequence_length": self.periods, "stock_size": 11}
        accepted = signature(self.kind).parameters
        torch.manual_seed(seed)
        given = {key: value for key, value in (known | sizes).items() if key in accepted}
        net: nn.Module = self.kind(**given | self.arguments)
        return net

    @property
    def periods(self) -> int:
        """Periods of a window; 1 of a net that reads rows."""
        return _PERIODS if self.kind.input_view == "sequence" else 1

    def features(self, count: int, size: int = _FEATURES, periods: int | None = None) -> torch.Tensor:
        """Draw normalized features."""
        shape = (count, periods or self.periods, size) if self.kind.input_view == "sequence" else (count, size)
        return torch.randn(shape, generator=torch.Generator().manual_seed(count))

    def view(self) -> str:
        """Check the class attribute."""
        view = getattr(self.kind, "input_view", None)
        expect(view in ("sequence", "flat"), f"input_view is {view!r}: expected 'sequence' or 'flat'")
        return str(view)

    def shapes(self) -> str:
        """Check the shape of the logits."""
        net = self.build().eval()
        for count in (1, 2, 7):
            with torch.no_grad():
                logits = net(self.features(count))
            found, expected = tuple(logits.shape), (count, _CLASSES)
            expect(found == expected, f"logits {list(found)} of {count} examples: expected {list(expected)}")
            expect(bool(logits.isfinite().all()), "logits that are not finite")
        return f"{sum(p.numel() for p in net.parameters()):,} parameters"

    def sizes(self) -> str:
        """Check other numbers of features, periods and classes."""
        periods = 6 if self.kind.input_view == "sequence" else 1
        net = self.build(input_size=13, num_classes=2, sequence_length=periods).eval()
        with torch.no_grad():
            found = tuple(net(self.features(5, 13, periods)).shape)
        expect(found == (5, 2), f"logits {list(found)}: expected [5, 2]. Take input_size and num_classes as arguments")
        return "13 features, 2 classes" + (f", {periods} periods" if periods > 1 else "")

    def independence(self) -> str:
        """Check that examples do not depend on each other in evaluation."""
        net, x = self.build().eval(), self.features(_EXAMPLES)
        with torch.no_grad():
            single = torch.cat([net(one) for one in x.split(1)])
            difference = float((net(x) - single).abs().max())
        expect(difference < 1e-4, f"logits differ by {difference:.1e}: what is served would depend on other requests")
        return f"difference {difference:.0e}"

    def lone_example(self) -> str:
        """Check a training step on one example, the remainder of an epoch."""
        net = self.build().train()
        with running_statistics(net, alone=True):
            loss = self._loss(net, self.features(1))
        loss.backward()
        return "its running statistics are used" if _normalizes(net) else ""

    def gradients(self) -> str:
        """Check that each parameter gets a gradient that is not 0."""
        net = self.build().train()
        self._loss(net, self.features(64)).backward()
        without = [key for key, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        expect(not without, f"none reaches {', '.join(without[:3])}. Use it in forward, or remove it")
        return ""

    def seed(self) -> str:
        """Check that seed and steps decide the weights."""
        first, second = (self._trained(self.build(seed=7)) for _ in range(2))
        expect(_equal(first, second), "two trainings of a seed differ. Draw numbers from torch's generator alone")
        other = self.build(seed=8)
        expect(not _equal(self.build(seed=7), other), "seeds 7 and 8 give the same weights")
        return ""

    def resume(self) -> str:
        """Check that the state is complete: saved and loaded in the middle, training goes on the same."""
        through = self._trained(self.build(), STEPS * 2)
        half = self.build()
        optimizer = self._optimizer(half)
        self._trained(half, STEPS, optimizer=optimizer)
        file = io.BytesIO()
        torch.save({"net": half.state_dict(), "optimizer": optimizer.state_dict()}, file)
        file.seek(0)
        content = torch.load(file, weights_only=True)
        again = self.build(seed=1)
        again.load_state_dict(content["net"])
        resumed = self._optimizer(again)
        resumed.load_state_dict(content["optimizer"])
        self._trained(again, STEPS, first=STEPS, optimizer=resumed)
        expect(_equal(through, again), "it ends elsewhere. Keep what training changes in parameters and buffers")
        return ""

    def replicas(self) -> str:
        """Check that replicas of the net can be stacked, and predict what each alone does."""
        nets = [self.build(seed=seed).eval() for seed in (0, 1)]
        try:
            stacked = stack(nets, RandomStreams(2)).eval()
        except TypeError as error:
            raise NotApplicable(f"{error}: train.replicas stays 1, and -m seed=0,1,2 trains several seeds") from None
        x = self.features(_EXAMPLES)
        with torch.no_grad():
            together = stacked(x.expand(2, *x.shape))
            alone = torch.stack([net(x) for net in nets])
        expect(together.shape == alone.shape, f"logits {list(together.shape)}: index dimensions from the last")
        difference = float((together - alone).abs().max())
        expect(difference < 1e-4, f"logits differ by {difference:.1e}: index dimensions from the last")
        return f"difference {difference:.0e}"

    def export(self) -> str:
        """Check the exported graph against PyTorch."""
        net = self._trained(self.build()).eval()
        graph = _Probabilities(net).eval()
        x = self.features(40)

        def predict(batch: torch.Tensor) -> Any:
            with torch.no_grad():
                return graph(batch).numpy()

        content = trace(graph, x[:2]).SerializeToString()
        difference = largest_difference(content, predict, x, self.name)
        return f"difference {difference:.0e}, {TOLERANCE:.0e} allowed"

    def adversarial(self) -> str:
        """Check that the forward pass is `classify(latent(x))`, where the net has these methods."""
        net, x = self.build().eval(), self.features(_EXAMPLES)
        if not (hasattr(net, "latent") and hasattr(net, "classify")):
            raise NotApplicable("no methods latent and classify (ste.models.base.Net)")
        with torch.no_grad():
            same = torch.allclose(net.classify(net.latent(x)), net(x), atol=1e-6)  # type: ignore[operator]
        expect(same, "forward is not classify(latent(x))")
        return ""

    def _trained(
        self, net: nn.Module, steps: int = STEPS, first: int = 0, optimizer: torch.optim.Optimizer | None = None
    ) -> nn.Module:
        """Train some steps, each with a random stream of its own."""
        optimizer = optimizer or self._optimizer(net)
        net.train()
        for step in range(first, first + steps):
            torch.manual_seed(100 + step)
            optimizer.zero_grad()
            self._loss(net, self.features(16)).backward()
            optimizer.step()
        return net

    def _optimizer(self, net: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(net.parameters(), lr=1e-3)

    def _loss(self, net: nn.Module, features: torch.Tensor) -> torch.Tensor:
        batch = Batch(features, torch.arange(len(features)) % _CLASSES)
        return nn.functional.cross_entropy(net(batch.features), batch.label)


class _Probabilities(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        probs: torch.Tensor = self.net(features).softmax(dim=-1)
        return probs


def _normalizes(net: nn.Module) -> bool:
    return any(key.endswith("running_mean") for key, _ in net.named_buffers())


def _equal(first: nn.Module, second: nn.Module) -> bool:
    other = second.state_dict()
    return all(torch.equal(value, other[key]) for key, value in first.state_dict().items())


SUITES.add("model", model_checks)
