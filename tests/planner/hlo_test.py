"""Collectives in HLO text: kinds, bytes, how often, who asked."""

import functools
import textwrap

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec
import pytest

from mla_jax.planner import hlo

P = PartitionSpec
TEXT = """
HloModule jit_step, is_scheduled=true

%add (x: f32[], y: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  %y = f32[] parameter(1)
  ROOT %sum = f32[] add(%x, %y)
}

%body (carry: (s32[], f32[4,8])) -> (s32[], f32[4,8]) {
  %carry = (s32[], f32[4,8]{1,0}) parameter(0)
  %part = f32[4,8]{1,0:T(8,128)} get-tuple-element(%carry), index=1
  %gather-start = (f32[4,8]{1,0}, f32[16,8]{1,0}) all-gather-start(%part), channel_id=1, replica_groups=[1,4]<=[4], dimensions={0}, metadata={op_name="jit(step)/while/dot"}
  %gather-done = f32[16,8]{1,0} all-gather-done(%gather-start)
  %scatter = f32[4,8]{1,0} reduce-scatter(%gather-done), replica_groups={{0,1,2,3}}, to_apply=%add
  ROOT %out = (s32[], f32[4,8]{1,0}) tuple(%n, %scatter)
}

%condition (carry: (s32[], f32[4,8])) -> pred[] {
  %carry = (s32[], f32[4,8]{1,0}) parameter(0)
  %n = s32[] get-tuple-element(%carry), index=0
  %turns = s32[] constant(12)
  ROOT %less = pred[] compare(%n, %turns), direction=LT
}

%fused (p: bf16[8,8]) -> bf16[8,8] {
  %p = bf16[8,8]{1,0} parameter(0)
  ROOT %permute = bf16[8,8]{1,0} collective-permute(%p), source_target_pairs={{0,1},{1,0}}
}

ENTRY %main (a: f32[4,8], b: bf16[8,8]) -> f32[4,8] {
  %a = f32[4,8]{1,0} parameter(0)
  %b = bf16[8,8]{1,0} parameter(1)
  %loop = (s32[], f32[4,8]{1,0}) while(%start), condition=%condition, body=%body
  %again = (s32[], f32[4,8]{1,0}) while(%loop), condition=%condition, body=%body, backend_config={"known_trip_count":{"n":"3"}}
  %moved = bf16[8,8]{1,0} fusion(%b), kind=kLoop, calls=%fused
  %sums = (f32[10]{0}, f32[]) all-reduce(%v, %w), replica_groups={}, to_apply=%add
  %first = f32[10]{0} get-tuple-element(%sums), index=0
  %unused = f32[6]{0} all-to-all(%v), replica_groups={{0},{1}}, dimensions={0}
  ROOT %result = f32[4,8]{1,0} get-tuple-element(%again), index=1
}
"""  # noqa: E501


def test_kinds_bytes_and_turns() -> None:
  found = {one.kind: one for one in hlo.collectives(textwrap.dedent(TEXT))}
  seen = {kind: (one.size, one.count, one.group, one.used) for kind, one in found.items()}
  assert seen == {
      "all-gather": (16 * 8 * 4, 15, 4, True),
      "reduce-scatter": (16 * 8 * 4, 15, 4, True),
      "collective-permute": (8 * 8 * 2, 1, 0, True),
      "all-reduce": (44, 1, 0, True),
      "all-to-all": (24, 1, 1, False),
  }
  assert found["all-gather"].source == "jit(step)/while/dot"
  assert all(one.counted for one in found.values())


@pytest.mark.parametrize("used", [True, False])
def test_the_end_of_an_asynchronous_one_is_no_use_of_it(used: bool) -> None:
  read = "%whole" if used else "%a"
  text = f"""\
HloModule step

ENTRY %main (a: f32[4,8]) -> f32[4,8] {{
  %a = f32[4,8]{{1,0}} parameter(0)
  %begun = (f32[4,8]{{1,0}}, f32[16,8]{{1,0}}) all-gather-start(%a), replica_groups=[2,4]<=[8]
  %whole = f32[16,8]{{1,0}} all-gather-done(%begun)
  ROOT %result = f32[4,8]{{1,0}} fusion({read}), kind=kLoop, calls=%fused
}}
"""
  (gather,) = hlo.collectives(text)
  assert (gather.kind, gather.size, gather.used) == ("all-gather", 16 * 8 * 4, used)


def test_a_loop_of_unknown_length_says_so() -> None:
  text = TEXT.replace("s32[] constant(12)", "s32[] get-tuple-element(%carry), index=0")
  (gather,) = [one for one in hlo.collectives(text) if one.kind == "all-gather"]
  assert (gather.count, gather.counted) == (1 + 3, False)


@pytest.mark.parametrize("length", [3, 7])
def test_a_real_program_gathers_once_a_turn(length: int) -> None:
  mesh = jax.make_mesh((8,), ("fsdp",), axis_types=(AxisType.Auto,))
  rows = NamedSharding(mesh, P("fsdp"))

  @functools.partial(jax.jit, out_shardings=rows)
  def apply(x: jax.Array, kernels: jax.Array) -> jax.Array:
    def layer(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, None]:
      kernel = jax.lax.with_sharding_constraint(kernel, NamedSharding(mesh, P()))
      return jnp.tanh(x @ kernel), None

    return jax.lax.scan(layer, x, kernels)[0]

  x = jax.ShapeDtypeStruct((16, 32), jnp.float32, sharding=rows)
  split = NamedSharding(mesh, P(None, None, "fsdp"))
  kernels = jax.ShapeDtypeStruct((length, 32, 32), jnp.float32, sharding=split)
  found = hlo.collectives(apply.lower(x, kernels).compile().as_text())
  gathered = [one for one in found if one.kind == "all-gather"]
  # Each turn gathers a kernel, or one gather before the loop takes all.
  assert sum(one.size * one.count for one in gathered) == length * 32 * 32 * 4
  assert all(one.used and one.counted for one in gathered)
