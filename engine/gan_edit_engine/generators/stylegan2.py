"""StyleGAN2 (Karras et al. 2020) in plain PyTorch, under the parameter names of official checkpoints.

Covers the skip, resnet and orig architectures, class conditioning, stored, random, given or no noise, activation
clamping and any resampling filter.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gan_edit_engine.generators.base import Noise, check_ws
from gan_edit_engine.generators.mapping import MappedGenerator, MappingNetwork
from gan_edit_engine.generators.stylegan2_blocks import StyleGAN2Config, SynthesisBlock

MOST_RESIDUAL_VALUES = 150_000
"""Of a feature residual: 300 KB in half precision."""


class SynthesisNetwork(nn.Module):
    """ws [N, num_ws, w_dim] -> image [N, image_channels, resolution, resolution]; blocks are named b4, b8, ...

    ``set_compute_dtype`` chooses the precision of the feature maps; the image and the styles keep the parameters'.
    """

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        self._residual: Tensor | None = None
        for resolution in config.block_resolutions:
            self.add_module(f"b{resolution}", SynthesisBlock(resolution, config))

    def blocks(self) -> Iterator[tuple[str, SynthesisBlock]]:
        """(name, block), coarse to fine."""
        for resolution in self.config.block_resolutions:
            block = self.get_submodule(f"b{resolution}")
            assert isinstance(block, SynthesisBlock)
            yield f"b{resolution}", block

    def set_residual(self, residual: Tensor | None) -> None:
        """What is added to the feature maps of its size [1, C, S, S]; None: nothing."""
        self._residual = residual

    def set_compute_dtype(self, dtype: torch.dtype) -> None:
        """Precision of every block: bfloat16 is fast on processors with matrix units for it, slow elsewhere."""
        for _, block in self.blocks():
            block.compute_dtype = dtype

    def conv_names(self) -> Iterator[str]:
        """b4.conv1, b8.conv0, b8.conv1, ...: also the names of the noise maps."""
        for name, block in self.blocks():
            yield from ([] if block.is_first else [f"{name}.conv0"])
            yield f"{name}.conv1"

    def _check(self, ws: Tensor, noise: Noise) -> None:
        check_ws(ws, self.config.num_ws, self.config.w_dim)
        if isinstance(noise, Mapping):
            unknown = sorted(set(noise) - set(self.conv_names()))
            if unknown:
                raise ValueError(f"Unknown noise names: {', '.join(unknown)}.")
        elif noise not in ("const", "none", "random"):
            raise ValueError(f"Noise must be const, none, random or a mapping of tensors, not {noise!r}.")

    def steps(self, ws: Tensor, noise: Noise = "const") -> Iterator[tuple[Tensor, Tensor | None]]:
        """Each block's feature maps and running image, coarse to fine; the image is None before the first ToRGB."""
        self._check(ws, noise)
        noises = [noise.get(n) if isinstance(noise, Mapping) else noise for n in self.conv_names()]
        vectors = list(ws.to(next(self.parameters()).dtype).unbind(dim=1))
        x: Tensor | None = None
        image: Tensor | None = None
        start = 0
        for _, block in self.blocks():
            end = start + block.num_conv
            x = block.features(x, vectors[start:end], noises[start:end])
            if self._residual is not None and x.shape[-1] == self._residual.shape[-1]:
                x = x + self._residual.to(x.dtype)
            image = block.to_image(x, image, vectors[end])
            yield x, image
            start = end

    def images(self, ws: Tensor, noise: Noise = "const") -> Iterator[Tensor | None]:
        """The running image after each block, coarse to fine: None before the first ToRGB, the last is the image."""
        return (image for _, image in self.steps(ws, noise))

    def forward(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        *_, image = self.images(ws, noise)
        assert image is not None
        return image


class StyleGAN2(MappedGenerator):
    """The generator, of any architecture."""

    family = "stylegan2"
    synthesis: SynthesisNetwork

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__(config, MappingNetwork(config.mapping))
        self.synthesis = SynthesisNetwork(config)

    @contextmanager
    def computing_in(self, dtype: torch.dtype) -> Iterator[None]:
        self.synthesis.set_compute_dtype(dtype)
        try:
            yield
        finally:
            self.synthesis.set_compute_dtype(torch.float32)

    @property
    def residual_shape(self) -> tuple[int, int, int] | None:
        """Of the finest maps of at most half the image's size that still fit into a file or a layer's notes."""
        sides = [side for side in self.config.block_resolutions if 2 * side <= self.resolution]
        small = [side for side in sides if self.config.channels(side) * side**2 <= MOST_RESIDUAL_VALUES]
        return (self.config.channels(small[-1]), small[-1], small[-1]) if small else None

    @contextmanager
    def adding(self, residual: Tensor | None) -> Iterator[None]:
        if residual is not None and residual.shape[1:] != self.residual_shape:
            raise ValueError(f"A feature residual must be {self.residual_shape}, not {tuple(residual.shape[1:])}.")
        self.synthesis.set_residual(residual)
        try:
            yield
        finally:
            self.synthesis.set_residual(None)

    def features(self, ws: Tensor, noise: Noise = "const") -> Iterator[Tensor]:
        return (x for x, _ in self.synthesis.steps(ws, noise))

    def features_within(self, ws: Tensor, largest: int, noise: Noise = "const") -> Iterator[Tensor]:
        within = sum(side <= largest for side in self.config.block_resolutions)
        return itertools.islice(self.features(ws, noise), within)

    def small_image(self, ws: Tensor, side: int, noise: Noise = "const") -> Tensor:
        """The running image of the block at ``side``, where the architecture has one: no finer layer is computed."""
        if not self._has_running_image(side):
            return super().small_image(ws, side, noise)
        return self.small_image_and_features(ws, side, noise)[0]

    def small_image_and_features(self, ws: Tensor, side: int, noise: Noise = "const") -> tuple[Tensor, list[Tensor]]:
        """In one pass, where the architecture has a running image of that size."""
        if not self._has_running_image(side):
            return super().small_image_and_features(ws, side, noise)
        maps: list[Tensor] = []
        for x, image in self.synthesis.steps(ws, noise):
            maps.append(x)
            if image is not None and image.shape[-1] == side:
                return image, maps
        raise AssertionError(f"the synthesis has no image of {side} pixels")

    def images(self, ws: Tensor, noise: Noise = "const") -> Iterator[Tensor]:
        return (image for image in self.synthesis.images(ws, noise) if image is not None)

    def cheap_side(self, least: int) -> int:
        cheap = [side for side in self.config.block_resolutions if side >= least and self._has_running_image(side)]
        return cheap[0] if cheap else self.resolution

    def seen_ws(self, side: int) -> int:
        """One for each convolution up to the block at ``side``, and the one of its ToRGB."""
        if not self._has_running_image(side):
            return self.num_ws
        return 2 * (1 + self.config.block_resolutions.index(side))

    def _has_running_image(self, side: int) -> bool:
        return self.config.architecture == "skip" and side in self.config.block_resolutions

    def noise_consts(self) -> dict[str, Tensor]:
        if not self.config.use_noise:
            return {}
        return {name: self.synthesis.get_buffer(f"{name}.noise_const") for name in self.synthesis.conv_names()}
