"""Which library reads which sound, block by block until it ends.

Chapter: ``book/experiments/your_own_sound.md``.
"""

from __future__ import annotations

import mmap
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 2**14
"""Samples that are decoded at a time."""
HEAD = 2**16
"""Bytes of a file's beginning, in which its header lies."""
NO_LENGTHS = (0x7F000000, 0x7FFFF000, 0x80000000, 2**32 - 1, 2**63, 2**64)
"""Sizes, near which lie those that are written where the length is not known."""
LITTLE = 4096
"""Bytes that may follow a sound without a word."""
TAG_AND_PADDING = 10 * 1152
"""Samples of MP3 that are no sound, at the most: encoder delay, padding, the tag's own frame."""
SUFFIXES = {
    *(".wav", ".wave", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".caf", ".au", ".snd", ".flac"),
    *(".mp3", ".mp2", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".wma", ".mka", ".ac3", ".amr"),
}
"""How sounds are called, lower-case."""
NEEDED = {
    "soundfile": 'WAV, Ogg and others need libsndfile: pip install "cdlnmf-lit[audio]"',
    "miniaudio": 'MP3 and FLAC need miniaudio: pip install "cdlnmf-lit[audio]"',
    "av": 'M4A, WMA, WebM and others need PyAV: pip install "cdlnmf-lit[formats]"',
}
"""What to install for which formats."""


@dataclass(frozen=True)
class Encoded:
    """A sound in a file, and how to decode it.

    Parameters
    ----------
    decoder : str
        The library that reads it.
    sample_rate, n_channels : int
        Of its samples.
    blocks : callable
        ``blocks(first, dtype)`` gives arrays (n, n_channels) from sample ``first`` to the end;
        it raises an ``OSError`` where the file is damaged so that nothing can be read on.
    stated : float or None
        The samples that the file states, where it does.
    tolerance : int
        By how many samples a whole file may miss what it states: a frame of its codec.
    padding : int
        By how many samples at the end it may exceed what it states, which are no sound.
    fault : str
        Why it is known not to be whole, whatever it states.
    """

    decoder: str
    sample_rate: int
    n_channels: int
    blocks: Callable[[int, Any], Iterator[NDArray[Any]]]
    stated: float | None = None
    tolerance: int = 0
    padding: int = 0
    fault: str = ""


def recognized(path: Path, name: str, aside: Path) -> Encoded:
    """Find the library that reads a sound.

    Parameters
    ----------
    path
        A file with any name.
    name
        What errors call it.
    aside
        A folder for a copy whose header is mended, where that is needed.

    Raises
    ------
    OSError
        If no library that is installed reads it; it names one that may, if there is one.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from cdlnmf_lit.recordings.writing import write
    >>> with TemporaryDirectory() as folder:
    ...     write(f"{folder}/tone.wav", np.array([0.0, 0.5, -0.5]), 22050)
    ...     recognized(Path(folder, "tone.wav"), "tone.wav", Path(folder)).decoder
    'libsndfile'
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    missing = []
    for decoder in _candidates(head, path.suffix.lower()):
        try:
            if found := decoder(path, aside):
                return found
        except ModuleNotFoundError as error:
            missing.append(str(error.name))
    if "miniaudio" in missing and (found := _by_libsndfile(path, aside, mp3_too=True)):
        return replace(found, fault=f"libsndfile may miss its end; {NEEDED['miniaudio']}")
    if "soundfile" in missing and (found := _by_scipy(path)):
        return found
    if missing:
        raise OSError(f"{name} is no sound that can be read here; {NEEDED[missing[-1]]}")
    raise OSError(f"{name} is no sound that can be read, or its beginning is damaged")


def is_sound(path: Path) -> bool:
    """Whether a file is one that a library reads, or is called as a sound is.

    Examples
    --------
    >>> is_sound(Path("a/file/that/is/not/there.wav"))
    False
    """
    if not path.is_file() or path.suffix.lower() in SUFFIXES:
        return path.is_file()
    try:
        with TemporaryDirectory() as folder:
            return bool(recognized(path, str(path), Path(folder)))
    except OSError:
        return False


def _candidates(head: bytes, suffix: str) -> tuple[Callable[[Path, Path], Encoded | None], ...]:
    """The decoders to try, by the first bytes; libmpg123, in libsndfile, cuts some MP3 files."""
    sync = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2  # MPEG audio, layer III
    contained = head.startswith((b"RIFF", b"RF64", b"riff", b"FORM", b"caff", b".snd", b"OggS"))
    if head.startswith(b"fLaC"):
        return _flac, _by_ffmpeg
    if sync or head.startswith(b"ID3") or (suffix == ".mp3" and not contained):
        return _flac, _mp3, _by_ffmpeg
    return _by_libsndfile, _by_ffmpeg


# ---- libsndfile ------------------------------------------------------------------------------

SHOULD_BE = re.compile(
    r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", re.MULTILINE
)
"""What libsndfile's log says of the size of the samples, or of all of a 64-bit file."""
HEADER = re.compile(r"^ *(Channels|Block Align|Bit Width) *: (\d+)", re.MULTILINE)
"""What that log says of each sample of a WAV file."""
PLAIN = re.compile("WAVE_FORMAT_PCM|^ *format : pcm$", re.MULTILINE)
"""What that log says of a WAV file whose samples are whole numbers of bytes."""
LEFT_OVER = re.compile(r"Unknown chunk marker .*at position (\d+).*Exiting parser")
"""Where what follows the samples is no part of the file, by that log."""
BEGINS = b"OggS\0\2"
"""The mark of the first page of an Ogg stream."""


def _by_libsndfile(path: Path, aside: Path, mp3_too: bool = False) -> Encoded | None:
    import soundfile

    try:
        with soundfile.SoundFile(str(path)) as file:
            n_samples, log = file.frames, file.extra_info
            rate, channels = int(file.samplerate), int(file.channels)
            is_mpeg, layer = file.format == "MP3", file.subtype  # its length is a guess
            is_ogg = file.format == "OGG"
    except (soundfile.SoundFileError, TypeError):  # a TypeError is for `.raw`, which has no header
        return None
    if is_mpeg and layer == "MPEG_LAYER_III" and not mp3_too:
        return _mp3(path, aside)
    if n_samples == 0 and (mended := _with_open_end(path, log, aside)):
        return _by_libsndfile(mended, aside)
    fault = ""
    if is_ogg and _is_of_several(path):
        with suppress(ModuleNotFoundError):
            if found := _by_ffmpeg(path, aside):
                return replace(found, fault="")
        fault = f"more sound follows; {NEEDED['av']}"

    def blocks(first: int, dtype: Any) -> Iterator[NDArray[Any]]:
        try:
            with soundfile.SoundFile(str(path)) as file:
                if file.seekable():
                    file.seek(min(first, n_samples))
                read = (file.read(BLOCK, dtype, always_2d=True) for _ in iter(int, 1))
                yield from _from(read, 0 if file.seekable() else first)
        except soundfile.SoundFileError as error:
            raise OSError(str(error)) from error

    stated = None if is_mpeg else float(n_samples)
    if size := SHOULD_BE.search(log):
        size_stated, size_there = map(int, size.groups())
        if _is_length(size_stated):
            bytes_each: float = size_there // max(n_samples, 1)
            if n_samples == 0:
                bytes_each = int(dict(HEADER.findall(log)).get("Block Align", size_stated))
            elif not 0 <= size_there - n_samples * bytes_each < bytes_each:  # compressed
                bytes_each = size_there / n_samples
            stated = n_samples + (size_stated - size_there) / max(bytes_each, 1e-9)
    else:
        fault = fault or _fault(log, path.stat().st_size)
    return Encoded("libsndfile", rate, channels, blocks, stated, 1, fault=fault)


def _fault(log: str, size: int) -> str:
    if "Last page lacks an end-of-stream bit" in log:
        return "its last page is missing"
    if "Junk after the last page" in log:
        return "its last page is cut, or something else follows it"
    if "Corrupted bitstream" in log:
        return "some of its pages are damaged"
    told = {name: int(number) for name, number in HEADER.findall(log)}
    if PLAIN.search(log) and told["Block Align"] != told["Channels"] * (
        (told["Bit Width"] + 7) // 8
    ):
        return "its header contradicts itself"
    if "not equal to frame count" in log:
        return "its header contradicts itself"
    left_over = LEFT_OVER.search(log)
    if left_over and (rest := size - int(left_over[1])) > LITTLE:
        return f"{rest} bytes follow that are no part of such a file"
    return ""


def _is_of_several(path: Path) -> bool:
    """Whether an Ogg file is several that were put into one, as radio is recorded."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.rfind(BEGINS) > content.find(BEGINS)


def _is_length(size: int) -> bool:
    return not any(abs(size - none) <= 2**16 for none in NO_LENGTHS)


def _with_open_end(path: Path, log: str, aside: Path) -> Path | None:
    """Copy a WAV file that states no samples, but holds some, as one of unknown length."""
    with path.open("rb") as file:
        head = bytearray(file.read(HEAD))
        at = head.find(b"data")
        if at < 0 or not head.startswith((b"RIFF", b"RF64")) or not re.search("Exiting", log):
            return None
        head[:4], head[at + 4 : at + 8] = b"RIFF", b"\xff" * 4
        copy = aside / "mended.wav"
        with copy.open("wb") as mended:
            mended.write(head)
            while part := file.read(2**20):
                mended.write(part)
    return copy


# ---- SciPy, where libsndfile is not there ------------------------------------------------------


def _by_scipy(path: Path) -> Encoded | None:
    """A plain WAV file, which is in memory as a whole."""
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            rate, samples = wavfile.read(path)
    except (ValueError, struct.error, UnboundLocalError):  # the last for one without its chunks
        return None
    samples = samples.reshape(len(samples), -1)

    def blocks(first: int, dtype: Any) -> Iterator[NDArray[Any]]:
        for n in range(first, len(samples), BLOCK):
            yield _of_full_scale_1(samples[n : n + BLOCK]).astype(dtype)

    is_cut = any("Reached EOF" in str(each.message) for each in noted)
    fault = "it is cut" if is_cut else ""
    return Encoded("SciPy", int(rate), samples.shape[1], blocks, fault=fault)


def _of_full_scale_1(samples: NDArray[Any]) -> NDArray[Any]:
    """Integers of any width as numbers; those of 8 bits have no sign."""
    if samples.dtype.kind == "f":
        return samples
    middle = 128 if samples.dtype.kind == "u" else 0
    return (samples - float(middle)) / 2.0 ** (8 * samples.dtype.itemsize - 1)


# ---- miniaudio -------------------------------------------------------------------------------


def _flac(path: Path, aside: Path) -> Encoded | None:
    import miniaudio

    try:
        info = miniaudio.flac_get_file_info(str(path))
    except miniaudio.MiniaudioError:
        return None

    def stream() -> Iterator[Any]:
        form = miniaudio.SampleFormat.SIGNED32
        return miniaudio.stream_file(str(path), form, info.nchannels, info.sample_rate, BLOCK)

    def blocks(first: int, dtype: Any) -> Iterator[NDArray[Any]]:
        scale = np.asarray(2.0**-31, dtype)
        decoded = _by_miniaudio(stream, info.nchannels)
        return _from((block.astype(dtype) * scale for block in decoded), first)

    return Encoded(
        "miniaudio", info.sample_rate, info.nchannels, blocks, info.num_frames or None, 0
    )


TAG = re.compile(rb"(?:Xing|Info)\0\0\0[\0-\x0f]")
"""What states the length of an MP3 file; no text looks like that."""


def _mp3(path: Path, aside: Path) -> Encoded | None:
    import miniaudio

    content = path.read_bytes()
    try:
        info = miniaudio.mp3_get_info(content)
        without_tag = content.replace(b"Xing", bytes(4)).replace(b"Info", bytes(4))
        there = miniaudio.mp3_get_info(without_tag).num_frames
    except miniaudio.MiniaudioError:
        return None
    stated, fault = info.num_frames or None, ""
    if there > info.num_frames + TAG_AND_PADDING:  # as where two files were put into one
        content, stated = without_tag, None
    elif there == info.num_frames and TAG.search(content):
        fault = "its tag is not at its start"
    del without_tag

    def stream() -> Iterator[Any]:
        form = miniaudio.SampleFormat.FLOAT32
        return miniaudio.stream_memory(content, form, info.nchannels, info.sample_rate, BLOCK)

    def blocks(first: int, dtype: Any) -> Iterator[NDArray[Any]]:
        decoded = _by_miniaudio(stream, info.nchannels)
        return _from((block.astype(dtype) for block in decoded), first)

    return Encoded("miniaudio", info.sample_rate, info.nchannels, blocks, stated, 1152, fault=fault)


def _by_miniaudio(stream: Callable[[], Iterator[Any]], n_channels: int) -> Iterator[NDArray[Any]]:
    import miniaudio

    try:
        for block in stream():
            yield np.asarray(block).reshape(-1, n_channels)
    except miniaudio.MiniaudioError as error:
        raise OSError(str(error)) from error


# ---- FFmpeg, by PyAV ---------------------------------------------------------------------------

BELIEVED = {"mov", "matroska", "asf", "wav", "aiff", "caf", "flac", "ogg"}
"""The formats that state their length; of others FFmpeg estimates it."""
PADDED = 2048
"""Samples of the longest frame of AAC and its like, to which the last one is filled."""
EDITED = 3 * PADDED
"""Samples that an edit list leaves out of a whole file, at the most: what the encoder added."""


def _by_ffmpeg(path: Path, aside: Path) -> Encoded | None:
    import av

    options = {"protocol_whitelist": "file"}  # nothing that a playlist names is downloaded
    try:
        with av.open(f"file:{path}", "r", options=options) as container:
            names = {*container.format.name.split(",")}
            track = container.streams.audio[0]
            duration = (container.duration or 0) / av.time_base
            if track.duration and track.time_base:
                duration = float(track.duration * track.time_base)
            if track.codec_context is None:
                return None
            codec = track.codec_context.name
            first_frame = next(_frames(container))
        media = _seconds_of_media(path) if "mov" in names else 0.0
    except (av.FFmpegError, OSError, ValueError, IndexError, StopIteration):
        return None
    rate, channels = first_frame.sample_rate, len(first_frame.layout.channels)

    def blocks(first: int, dtype: Any) -> Iterator[NDArray[Any]]:
        adapted = av.AudioResampler("dbl", first_frame.layout, rate)
        try:
            with av.open(f"file:{path}", "r", options=options) as container:
                decoded = (each for frame in _frames(container) for each in adapted.resample(frame))
                arrays = (each.to_ndarray().reshape(-1, channels) for each in decoded)
                yield from _from((each.astype(dtype) for each in arrays), first)
        except ValueError as error:
            raise OSError("its channels or its rate change") from error

    stated = duration * rate if duration and BELIEVED & names else None
    padding = PADDED if "mov" in names else 0
    fault = "it is cut" if "caf" in names and _is_cut_caf(path) else ""
    if (left_out := media - duration) * rate > EDITED:
        fault = "its header contradicts itself"
        if duration:
            fault = f"its edit list leaves out {left_out:.2f} s"
    if find_spec("soundfile") and not fault:  # which reads these where they are whole
        if "ogg" in names and codec in {"vorbis", "opus"}:
            fault = "some of its pages are damaged"
        has_header = {"wav", "aiff", "caf", "w64", "au"} & names and path.suffix.lower() != ".raw"
        if has_header and codec.startswith("pcm_"):
            fault = "libsndfile refuses it, so its header may be damaged"
    return Encoded("FFmpeg", rate, channels, blocks, stated, 2 * PADDED, padding, fault)


def _seconds_of_media(path: Path) -> float:
    """How long the sound in an MP4 file is, whatever its edit list says is to be played.

    That is what its header states or the frames in its index last, the longer one.
    """
    import av

    options = {"protocol_whitelist": "file", "ignore_editlist": "1"}
    with av.open(f"file:{path}", "r", options=options) as container:
        track = container.streams.audio[0]
        codec = track.codec_context
        frames = codec and track.frames * (codec.frame_size or 0) / codec.sample_rate
        return max(float((track.duration or 0) * (track.time_base or 0)), frames or 0.0)


def _is_cut_caf(path: Path) -> bool:
    """Whether a CAF file, which libsndfile refuses when it is cut, is that."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    at = head.find(b"data") + 4
    size = int.from_bytes(head[at : at + 8], "big")
    return at > 3 and _is_length(size) and at + 8 + size > path.stat().st_size


def _frames(container: Any) -> Iterator[Any]:
    """All audio frames of a file that can be decoded; at its end it tells how many cannot."""
    import av

    packets, damaged = container.demux(container.streams.audio[0]), 0
    while True:
        try:
            yield from next(packets).decode()
        except StopIteration:
            break
        except av.FFmpegError:
            damaged += 1
    if damaged:
        raise OSError(f"frames that cannot be decoded: {damaged}")


# ---- all ---------------------------------------------------------------------------------------


def _from(blocks: Iterator[NDArray[Any]], first: int) -> Iterator[NDArray[Any]]:
    """Leave out the first samples; end at an empty block."""
    for block in blocks:
        if not len(block):
            return
        if first < len(block):
            yield block[first:]
        first = max(0, first - len(block))
