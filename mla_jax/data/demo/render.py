"""Draws a scene and writes it as a video file."""

import fractions
import io

import numpy as np

from mla_jax.data.demo.scene import EVENT_SECONDS, SIZE, Scene, State

FRAME_RATE = 8
_RGB = {
    "red": (235, 30, 30),
    "green": (20, 185, 40),
    "blue": (40, 70, 255),
    "yellow": (255, 225, 0),
}
_OUTLINE = 1.6  # Pixels of black: it shows the shape in the same way whatever the colour.
_GROUNDS = ((222, 222, 222), (205, 205, 205), (215, 222, 230), (230, 222, 212))
BACKGROUNDS = len(_GROUNDS)
_GONE = (0.2, 0.72)  # Shares of an event between which a blinking shape is not there.


def draw(scene: Scene, background: int = 0) -> np.ndarray:
  """The frames of a clip, uint8 `[frames, SIZE, SIZE, 3]`, with smooth edges.

  Args:
    scene: what happens.
    background: in [0, BACKGROUNDS), chooses a light colour.
  """
  count = round(scene.duration * FRAME_RATE)
  seconds = (np.arange(count) + 0.5) / FRAME_RATE
  event = (seconds // EVENT_SECONDS).astype(int)
  phase = seconds / EVENT_SECONDS - event
  colour = np.array(_GROUNDS[background], np.float32)
  picture = np.broadcast_to(colour, (count, SIZE, SIZE, 3)).copy()
  for i, thing in enumerate(scene.things):
    track = _track([moment[i] for moment in scene.states], event, phase)
    for k, part in enumerate(scene.events):
      if part.actor == i and part.action == "blink":
        gone = (phase >= _GONE[0]) & (phase < _GONE[1])
        track[event == k, 3] *= ~gone[event == k]
    _paint(picture, thing.shape, _RGB[thing.colour], track)
  return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def encode(frames: np.ndarray) -> bytes:
  """An mp4 file of uint8 `[frames, H, W, 3]` at FRAME_RATE; the same frames give the same bytes."""
  import av

  codec, options = _encoder()
  file = io.BytesIO()
  with av.open(file, "w", format="mp4") as container:
    stream = container.add_stream(codec, rate=FRAME_RATE, options=options)
    assert isinstance(stream, av.VideoStream)
    stream.height, stream.width = frames.shape[1:3]
    stream.pix_fmt = "yuv420p"
    stream.time_base = fractions.Fraction(1, FRAME_RATE)
    stream.codec_context.thread_count = 1  # Several threads may cut a frame differently.
    for number, frame in enumerate(frames):
      picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
      picture.pts = number
      container.mux(stream.encode(picture))
    container.mux(stream.encode(None))
  return file.getvalue()


def _encoder() -> tuple[str, dict[str, str]]:
  """H.264 where this build of PyAV can write it, else MPEG-4."""
  import av

  if "libx264" in av.codecs_available:
    return "libx264", {"preset": "ultrafast", "crf": "18"}
  return "mpeg4", {"qscale": "3"}


def _track(states: list[State], event: np.ndarray, phase: np.ndarray) -> np.ndarray:
  """x, y, radius and opacity in every frame, `[frames, 4]`: smooth from state to state."""
  table = np.array([(s.x, s.y, s.radius, s.visible) for s in states], np.float32)
  share = np.clip((phase - 0.15) / 0.5, 0.0, 1.0)
  share = (share * share * (3.0 - 2.0 * share))[:, None].astype(np.float32)
  return (1.0 - share) * table[event] + share * table[event + 1]


def _paint(picture: np.ndarray, shape: str, colour: tuple[int, ...], track: np.ndarray) -> None:
  """Lays one thing over the frames, in place."""
  x0, y0, radius, opacity = (track[:, i, None, None] for i in range(4))
  columns, rows = _reach(x0, radius), _reach(y0, radius)  # Outside them it never is.
  pixels = np.arange(SIZE, dtype=np.float32) + 0.5
  x, y = pixels[None, None, columns] - x0, pixels[None, rows, None] - y0
  distance = _distance(shape, x, y, radius)
  cover = np.clip(0.5 - distance, 0.0, 1.0) * opacity
  inner = np.clip(0.5 - _OUTLINE - distance, 0.0, 1.0)
  part = picture[:, rows, columns]
  part += cover[..., None] * (inner[..., None] * np.array(colour, np.float32) - part)


def _reach(place: np.ndarray, radius: np.ndarray) -> slice:
  """The pixels along one axis that a thing ever covers."""
  low, high = float((place - radius).min()) - 1.0, float((place + radius).max()) + 2.0
  return slice(max(int(low), 0), min(int(high), SIZE))


def _distance(shape: str, x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
  """Signed distance to a shape's edge in pixels, negative inside (beyond corners only about)."""
  if shape == "square":
    return np.maximum(np.abs(x), np.abs(y)) - 0.88 * radius
  if shape == "triangle":
    slanted = 0.894 * np.abs(x) - 0.447 * y  # Sides twice as steep as wide.
    return np.maximum(slanted - 0.447 * radius, y - 0.9 * radius)
  if shape == "cross":
    a, b = np.abs(x), np.abs(y)
    long, short = np.maximum(a, b), np.minimum(a, b)
    return np.maximum(long - radius, short - 0.4 * radius)
  raise ValueError(f"no shape {shape!r}")
