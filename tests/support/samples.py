"""What is asked and answered in the pictures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Texts:
    title: str
    question: str
    thoughts: str
    rich: str
    end: str
    code_question: str
    long_code: str
    table_question: str
    wide_table: str
    half: str


_CODE = '''```python
"""Follow a durable log from any cursor, through every loss of the connection."""

import asyncio
from collections.abc import AsyncIterator

import httpx


async def follow(client: httpx.AsyncClient, response_id: str, cursor: int = -1) -> AsyncIterator[tuple[int, str]]:
    """Yield (number, data) of every event after `cursor`, each exactly once."""
    failures = 0
    while True:
        query = {"stream": "true"} | ({"starting_after": str(cursor)} if cursor >= 0 else {})
        try:
            async with client.stream("GET", f"/v1/responses/{response_id}", params=query) as stream:
                stream.raise_for_status()
                async for number, data in events(stream):
                    failures = 0
                    cursor = number
                    yield number, data
                    if '"type":"response.completed"' in data or '"type":"response.incomplete"' in data:
                        return
        except httpx.TransportError:
            failures += 1
            await asyncio.sleep(min(15.0, 0.3 * 2**failures))
```'''

_ENGLISH = Texts(
    title="How an octopus changes colour",
    question="How does an octopus change its colour? Please show me the maths too.",
    thoughts="The reader wants an explanation with some mathematics.\nI should name the three layers of the skin, "
    "then give a formula for the reflection of thin films.",
    rich="""An octopus changes colour in **less than a second**, by three layers of its skin that work together:

1. **Chromatophores**, sacs of pigment that tiny muscles pull open
2. **Iridophores**, thin plates that reflect by interference
   - blue and green, mostly
   - gold, at an angle
3. **Leucophores**, which scatter whatever light there is

> The animal that matches every colour is, as far as we know, colour-blind.

For a plate of thickness $d$ and index $n$, the reflected wavelength is

$$m\\lambda = 2nd\\cos\\theta, \\qquad m = 1, 2, 3, \\dots$$

so that a plate of 100 nm with $n = 1.56$ shines at about 312 nm in the first order.

```python
from math import cos, radians

def wavelength(thickness: float, index: float, angle: float = 0.0) -> float:
    \"\"\"First-order wavelength in nm that a thin plate reflects.\"\"\"
    return 2 * index * thickness * cos(radians(angle))
```

| layer | what it does | speed |
|---|---|--:|
| chromatophores | open and close | 0.2 s |
| iridophores | shift their colour | 10 s |
| leucophores | stay white | — |
""",
    end="\nMore in [Hanlon's review](https://en.wikipedia.org/wiki/Chromatophore).",
    code_question="Write a client that follows an answer through every disconnect.",
    long_code=f"Here is one that sees no event twice:\n\n{_CODE}\n\nCall it with the last cursor that you stored.",
    table_question="Compare the journals in a wide table.",
    wide_table="""| | SQLite | PostgreSQL | Valkey streams | Kafka | plain files |
|---|---|---|---|---|---|
| durable after kill -9 | yes, with WAL | yes, synchronous commit | only what was fsynced | with acks=all | with fsync |
| readers at any position | by rowid | by index | by entry id | by offset | by byte |
| processes that may write | one | many, fenced | many | many, per partition | one |
| what it costs when idle | nothing | one connection | one connection | a cluster | nothing |
""",
    half="An octopus has three hearts: two of them pump blood through the gills, and the third one",
)

_CHINESE = Texts(
    title="章鱼怎样变色",
    question="章鱼是怎样改变颜色的？请顺便给出数学公式。",
    thoughts="读者想要一个带数学的解释。\n先说皮肤的三层结构，再给出薄膜反射的公式。",
    rich="""章鱼变色**不到一秒**，靠的是皮肤里三层结构的配合：

1. **色素细胞**：由细小的肌肉拉开的色素囊
2. **虹彩细胞**：靠干涉反光的薄片
   - 多为蓝色和绿色
   - 斜看呈金色
3. **白色细胞**：散射一切光线

> 据我们所知，这种能模仿任何颜色的动物其实是色盲。

对厚度为 $d$、折射率为 $n$ 的薄片，反射波长满足

$$m\\lambda = 2nd\\cos\\theta, \\qquad m = 1, 2, 3, \\dots$$

因此 100 nm 厚、$n = 1.56$ 的薄片在第一级约反射 312 nm 的光。

```python
from math import cos, radians

def wavelength(thickness: float, index: float, angle: float = 0.0) -> float:
    \"\"\"薄片反射的第一级波长，单位 nm。\"\"\"
    return 2 * index * thickness * cos(radians(angle))
```

| 层 | 作用 | 速度 |
|---|---|--:|
| 色素细胞 | 张开与收缩 | 0.2 秒 |
| 虹彩细胞 | 改变反射的颜色 | 10 秒 |
| 白色细胞 | 保持白色 | — |
""",
    end="\n更多内容见[维基百科](https://zh.wikipedia.org/wiki/章鱼)。",
    code_question="写一个断线也不丢字的客户端。",
    long_code=f"下面这个客户端不会把同一个事件看两遍：\n\n{_CODE}\n\n调用时传入上次保存的游标即可。",
    table_question="用一张宽表比较几种日志。",
    wide_table="""| | SQLite | PostgreSQL | Valkey 流 | Kafka | 普通文件 |
|---|---|---|---|---|---|
| kill -9 之后仍在 | 是，用 WAL | 是，同步提交 | 仅已落盘的部分 | 是，acks=all | 需要 fsync |
| 从任意位置读取 | 按 rowid | 按索引 | 按条目编号 | 按偏移量 | 按字节 |
| 可写入的进程 | 一个 | 多个，带栅栏 | 多个 | 多个，按分区 | 一个 |
| 空闲时的开销 | 没有 | 一个连接 | 一个连接 | 一个集群 | 没有 |
""",
    half="章鱼有三颗心脏：两颗把血液送过鳃，第三颗",
)


def of(language: str) -> Texts:
    return {"en": _ENGLISH, "zh": _CHINESE}[language]
