"""Collectives in HLO text: kinds, bytes, how often, who asked."""

import functools
import textwrap

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec
import pytest

from mla_jax.errors import UserError
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


def _module(body: str, computations: str = "") -> list[tuple[str, int, int, int]]:
  """Kind, bytes, count and group of the collectives of a module with such a body."""
  main = f"ENTRY %main (a: f32[8,8]) -> f32[8,8] {{\n{body}\n}}\n"
  found = hlo.collectives(f"HloModule step\n\n{computations}\n\n{main}")
  assert all(one.used and one.counted for one in found)
  return [(one.kind, one.size, one.count, one.group) for one in found]


# Of a [64] and a [32] array of float32 on each device of a group of 4: 1024 and 512 bytes whole.
_FORMS = {
    "all-gather-start(%a)": ("(f32[64]{0}, f32[256]{0})", 1024),
    "all-gather-start(%a, %b)": ("((f32[64]{0}, f32[32]{0}), (f32[256]{0}, f32[128]{0}))", 1536),
    "all-gather(%a, %b)": ("(f32[256]{0:T(256)}, f32[128]{0:T(256)S(1)})", 1536),
    "reduce-scatter(%a, %b)": ("(f32[16]{0}, f32[8]{0})", 384),
    "reduce-scatter-start(%a)": ("((f32[64]{0}), f32[16]{0})", 256),
    "reduce-scatter-start(%a, %b)": ("((f32[64]{0}, f32[32]{0}), (f32[16]{0}, f32[8]{0}))", 384),
    "all-reduce-start(%a)": ("f32[64]{0}", 256),
    "all-reduce-start(%a, %b)": ("(f32[64]{0}, f32[32]{0})", 384),
    "all-to-all-start(%a)": ("((f32[64]{0}), f32[64]{0})", 256),
    "all-to-all-start(%a, %b)": ("((f32[64]{0}, f32[32]{0}), (f32[64]{0}, f32[32]{0}))", 384),
}
_GROUPS = [
    "[2,4]<=[8]",
    "[2,4]<=[4,2]T(1,0)",
    "{{0,2,4,6},{1,3,5,7}}",
    "mesh['axis_0'=1,'axis_1'=4,'axis_2'=2], device_ids=([2,4]T(1,0)) {'axis_1'}",
    "mesh['axis_0'=2,'axis_1'=2,'axis_2'=2] {'axis_0','axis_2'}",
    "mesh['x'=8] {'x':(2)4}",
    "mesh[x=2,y=4] {y}",
]


@pytest.mark.parametrize("groups", _GROUPS)
@pytest.mark.parametrize("call", _FORMS)
def test_each_form_in_each_way_to_write_groups(call: str, groups: str) -> None:
  shape, size = _FORMS[call]
  body = f"""\
  %a = f32[64]{{0}} parameter(0)
  %b = f32[32]{{0}} parameter(1)
  ROOT %moved = {shape} {call}, channel_id=1, replica_groups={groups}, dimensions={{0}}"""
  kind = call.partition("(")[0].removesuffix("-start")
  assert _module(body) == [(kind, size, 1, 4)]


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ("(f32[64]{0}, f32[64]{0}, u32[]{:S(2)}, u32[]{:S(2)})", 256),
        ("((f32[64]{0}, f32[32]{0}), (f32[64]{0}, f32[32]{0}), u32[], u32[])", 384),
    ],
)
def test_a_permutation_that_starts(shape: str, size: int) -> None:
  body = f"""\
  %moved = {shape} collective-permute-start(%a, %b), source_target_pairs={{{{0,1}},{{1,0}},{{2,2}}}}
  ROOT %done = f32[64]{{0}} collective-permute-done(%moved)"""
  assert _module(body) == [("collective-permute", size, 1, 0)]
  (one,) = hlo.collectives(f"ENTRY %main () -> f32[] {{\n{body}\n}}")
  assert one.pairs == ((0, 1), (1, 0), (2, 2))


def test_groups_of_a_form_that_is_not_known_are_an_error() -> None:
  with pytest.raises(UserError, match=r"replica_groups=@mesh<x=8>.* not known.*replica_groups.py"):
    _module("  ROOT %sum = f32[8]{0} all-reduce(%a), replica_groups=@mesh<x=8> {x}, to_apply=%add")


def test_all_devices_are_no_group() -> None:
  body = "  ROOT %sum = f32[8]{0} all-reduce(%a), replica_groups={}, to_apply=%add"
  assert _module(body) == [("all-reduce", 32, 1, 0)]


_ASYNCHRONOUS = """\
%begin (p: f32[4]) -> (f32[4], f32[8], u32[]) {
  %p = f32[4]{0} parameter(0)
  %all-gather.1 = f32[8]{0} all-gather(%p), channel_id=2, replica_groups=[1,2]<=[2]
  ROOT %start = (f32[4]{0}, f32[8]{0}, u32[]) custom-call(%all-gather.1), custom_call_target="AsyncCollectiveStart"
}

%async_collective_fusion.1 (p: f32[4]) -> (f32[4], f32[8]) {
  %p = f32[4]{0} parameter(0)
  %all-gather.2 = f32[8]{0} all-gather(%p), channel_id=2, replica_groups=[1,2]<=[2]
  ROOT %both = (f32[4]{0}, f32[8]{0}) tuple(%p, %all-gather.2)
}

%end (p: f32[4]) -> f32[8] {
  %p = f32[4]{0} parameter(0)
  %all-gather.3 = f32[8]{0} all-gather(%p), channel_id=2, replica_groups=[1,2]<=[2]
  ROOT %done = f32[8]{0} custom-call(%p, %all-gather.3), custom_call_target="AsyncCollectiveDone"
}

%body (carry: (s32[], f32[4])) -> (s32[], f32[4]) {
  %carry = (s32[], f32[4]{0}) parameter(0)
  %started = (f32[4]{0}, f32[8]{0}, u32[]) fusion(%carry), kind=kCustom, calls=%begin
  %meanwhile = (f32[4]{0}, f32[8]{0}) fusion(%started), kind=kOutput, calls=%async_collective_fusion.1
  %gathered = f32[8]{0} fusion(%meanwhile), kind=kCustom, calls=%end
  ROOT %out = (s32[], f32[4]{0}) tuple(%carry, %gathered)
}"""  # noqa: E501


def test_an_asynchronous_gather_of_several_fusions_is_one_in_each_turn() -> None:
  body = """\
  %loop = (s32[], f32[4]{0}) while(%a), body=%body, backend_config={"known_trip_count":{"n":"3"}}
  ROOT %other = f32[8]{0} all-gather(%loop), channel_id=2, replica_groups=[1,2]<=[2]"""
  # The last one shares the channel, as parts of one combined collective do, and yet is another.
  gathers = sorted(_module(body, _ASYNCHRONOUS))
  assert gathers == [("all-gather", 32, 1, 2), ("all-gather", 32, 3, 2)]


@pytest.mark.parametrize("name", ["all-reduce-scatter", "all-reduce-scatter.clone.1"])
def test_a_sum_of_which_each_keeps_its_part_is_a_reduce_scatter(name: str) -> None:
  scatter = f"""\
%{name} (p: f32[64], q: f32[32]) -> (f32[16], f32[8]) {{
  %p = f32[64]{{0}} parameter(0)
  %q = f32[32]{{0}} parameter(1)
  %sum = (f32[64]{{0}}, f32[32]{{0}}) all-reduce(%p, %q), channel_id=1, replica_groups=[2,4]<=[8]
  %one = f32[64]{{0}} get-tuple-element(%sum), index=0
  ROOT %part = f32[16]{{0}} dynamic-slice(%one, %place), dynamic_slice_sizes={{16}}
}}"""
  body = f"""\
  %scattered = f32[16]{{0}} fusion(%a, %b), kind=kCustom, calls=%{name}
  ROOT %sum = f32[16]{{0}} all-reduce(%scattered), channel_id=1, replica_groups={{{{0,4}}}}"""
  assert sorted(_module(body, scatter)) == [("all-reduce", 64, 1, 2), ("reduce-scatter", 384, 1, 4)]


@pytest.mark.parametrize(
    "branches",
    ["true_computation=%one, false_computation=%other", "branch_computations={%one, %other}"],
)
def test_every_branch_of_a_conditional_counts(branches: str) -> None:
  made = "\n\n".join(
      f"%{name} (p: f32[8]) -> f32[8] {{\n"
      f"  %p = f32[8]{{0}} parameter(0)\n"
      f"  ROOT %sum = f32[8]{{0}} all-reduce(%p), replica_groups={{{{{group}}}}}\n}}"
      for name, group in (("one", "0,1"), ("other", "0,1,2"))
  )
  body = f"  ROOT %either = f32[8]{{0}} conditional(%p, %a, %a), {branches}"
  assert sorted(_module(body, made)) == [("all-reduce", 32, 1, 2), ("all-reduce", 32, 1, 3)]


def test_what_an_asynchronous_call_begins_runs_once() -> None:
  wrapped = """\
%wrapped (p: f32[8]) -> f32[8] {
  %p = f32[8]{0} parameter(0)
  ROOT %sum = f32[8]{0} all-reduce(%p), replica_groups={{0,1}}
}"""
  body = """\
  %begun = ((f32[8]{0}), f32[8]{0}, u32[]) async-start(%a), calls=%wrapped
  %later = ((f32[8]{0}), f32[8]{0}, u32[]) async-update(%begun), calls=%wrapped
  ROOT %done = f32[8]{0} async-done(%later), calls=%wrapped"""
  assert _module(body, wrapped) == [("all-reduce", 32, 1, 2)]


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
