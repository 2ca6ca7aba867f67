from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qnn_deploy.plan.memory import Block, lower_bound, place

blocks = st.lists(
    st.tuples(st.integers(1, 5000), st.integers(0, 20), st.integers(0, 8)).map(lambda t: Block(t[0], t[1], t[1] + t[2])), max_size=25
)


@given(blocks)
def test_blocks_alive_together_do_not_overlap(items: list[Block]) -> None:
    offsets, arena = place(items)
    assert all(offset % 64 == 0 for offset in offsets)
    assert lower_bound(items) <= arena
    for i, a in enumerate(items):
        assert offsets[i] + a.size <= arena
        for j, b in enumerate(items[:i]):
            if a.first <= b.last and b.first <= a.last:
                assert offsets[i] + a.size <= offsets[j] or offsets[j] + b.size <= offsets[i]


def test_a_chain_of_layers_needs_two_buffers() -> None:
    items = [Block(1000, i, i + 1) for i in range(10)]
    assert place(items)[1] == lower_bound(items) == 2 * 1024
