"""Networks to explain in the tests: small, of every family, with running statistics of something like an image."""

import functools

import torch

FAMILIES = ("test_efficientnet", "test_resnet", "test_convnext", "mobilenetv3_small_050", "regnetx_002")


@functools.cache
def settled(name: str, classes: int = 3, **options: float) -> torch.nn.Module:
    """A timm network in evaluation mode whose outputs differ from slice to slice; nobody changes it."""
    import timm

    torch.manual_seed(0)
    with torch.inference_mode(False), torch.no_grad():  # whatever the test that asks first is in
        network = timm.create_model(name, num_classes=classes, **options)
        network.train()
        for _ in range(4):
            network(torch.randn(4, 3, 96, 96))
    return network.eval()


def inputs(count: int = 3, size: int = 96, seed: int = 0) -> torch.Tensor:
    """Random network input, (count, 3, size, size)."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def snapshot(network: torch.nn.Module) -> dict:
    """All that a caller may notice of his network."""
    return {
        "modules": [(n, type(m), m.training, len(m._forward_hooks)) for n, m in network.named_modules()],
        "tensors": [
            (n, t.requires_grad, t.grad is None, t.detach().clone())
            for n, t in [*network.named_parameters(), *network.named_buffers()]
        ],
    }


def assert_same(before: dict, after: dict) -> None:
    """Fail unless two snapshots are equal, bit by bit."""
    assert before["modules"] == after["modules"]
    for one, other in zip(before["tensors"], after["tensors"], strict=True):
        assert one[:3] == other[:3] and torch.equal(one[3], other[3])
