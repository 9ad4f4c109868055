"""Made-up providers with many models, installed as distributions of their own in a folder for sys.path."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from attrs import frozen

from plugmux import Finish, Model, Pricing, Text, hookimpl
from plugmux.credentials import Credential

MAKERS = ("meta-llama", "Qwen", "mistralai", "google", "deepseek-ai", "openai", "zai-org", "microsoft")


@frozen
class Market:
    """So many providers with so many models each; every model stands at `offers` of them."""

    providers: int
    models_each: int
    offers: int = 4

    @property
    def ids(self) -> int:
        """How many different models there are."""
        return self.providers * self.models_each // self.offers

    def install(self, folder: Path) -> None:
        """Write each provider as a distribution: its metadata, its entry point, and its module."""
        for number in range(self.providers):
            info = folder / f"plugmux_seller_{number:02}-1.0.dist-info"
            info.mkdir()
            metadata = f"Metadata-Version: 2.4\nName: plugmux-seller-{number:02}\nVersion: 1.0\n"
            (info / "METADATA").write_text(f"{metadata}Requires-Dist: plugmux>=0.1\n")
            module = f"plugmux_seller_{number:02}"
            (info / "entry_points.txt").write_text(f"[plugmux]\nseller-{number:02} = {module}:plugin\n")
            code = f"from market import Market, Seller\n\nplugin = Seller({self!r}, {number})\n"
            (folder / f"{module}.py").write_text(code)


class Seller:
    """One provider of a market: it lists its models, and answers with one word."""

    def __init__(self, market: Market, number: int) -> None:
        self._market = market
        self._number = number

    @hookimpl
    async def get_models(self, wanted: str | None) -> Sequence[Model]:
        market = self._market
        first = self._number * market.ids // market.providers
        cloud = f"cloud-{self._number}"
        numbers = range(0 if wanted else market.models_each)
        return [_model((first + i) % market.ids, cloud) for i in numbers]

    @hookimpl
    async def authenticate(self) -> Credential:
        return Credential.bearer("bench-token", origins=["http://127.0.0.1:9"])

    @hookimpl
    async def create_stream(self) -> AsyncGenerator[Text | Finish, None]:
        yield Text(text="Hi")
        yield Finish()


def model_id(number: int) -> str:
    """The name of a model of the market, as the Hub would write it."""
    return f"{MAKERS[number % len(MAKERS)]}/Model-{number // 40}.{number % 40}-{7 + number % 5 * 9}B-Instruct"


def _model(number: int, cloud: str) -> Model:
    """As much as a service with a good list says of each of its models."""
    return Model(
        id=model_id(number),
        upstream=cloud,
        tasks=("conversational", "image-text-to-text") if number % 3 else ("conversational",),
        inputs=("image",) if number % 3 else (),
        options=("max_tokens", "temperature", "top_p", "stop", "seed", "tools", "response_format"),
        capabilities={"tools": number % 2 == 0, "structured_output": True, "vision": bool(number % 3)},
        context_length=131072,
        pricing=Pricing(input=0.1, output=0.4 + number % 7 / 10),
        auth="required",
        account="bench",
        latency=0.2 + number % 5 / 10,
        throughput=40.0 + number % 50,
    )
